/**
 * Tenants' tokens as this service knows them: by hash, with scopes. Start at {@link
 * dev.cofferdam.scheduler.tenant.TokenRecord}.
 */
@NullMarked
package dev.cofferdam.scheduler.tenant;

import org.jspecify.annotations.NullMarked;
