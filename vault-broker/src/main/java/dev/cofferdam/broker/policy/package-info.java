/**
 * What may leave a sandbox and where a secret may be used: pure values that refuse what is not
 * precise, and pure decisions over them. Start at {@link dev.cofferdam.broker.policy.Policy} and
 * {@link dev.cofferdam.broker.policy.Binding}.
 */
@NullMarked
package dev.cofferdam.broker.policy;

import org.jspecify.annotations.NullMarked;
