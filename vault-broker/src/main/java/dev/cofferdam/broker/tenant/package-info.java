/** Tenants' tokens, known by hash. Start at {@link dev.cofferdam.broker.tenant.Tokens}. */
@NullMarked
package dev.cofferdam.broker.tenant;

import org.jspecify.annotations.NullMarked;
