/**
 * What may leave. Pure: no clock, no I/O. Start at {@link
 * dev.cofferdam.gateway.policy.Policy#decide}.
 */
@NullMarked
package dev.cofferdam.gateway.policy;

import org.jspecify.annotations.NullMarked;
