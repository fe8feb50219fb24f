/**
 * Decisions on their way to the broker's audit. Start at {@link
 * dev.cofferdam.gateway.event.EventSpool}.
 */
@NullMarked
package dev.cofferdam.gateway.event;

import org.jspecify.annotations.NullMarked;
