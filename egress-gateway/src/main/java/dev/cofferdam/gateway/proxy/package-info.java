/**
 * Connections of guests and what becomes of them. Start at {@link
 * dev.cofferdam.gateway.proxy.GuestConnections}.
 */
@NullMarked
package dev.cofferdam.gateway.proxy;

import org.jspecify.annotations.NullMarked;
