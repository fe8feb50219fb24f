/**
 * Who is at which slot, and under which policy and lease. Start at {@link
 * dev.cofferdam.gateway.slot.SlotTable}.
 */
@NullMarked
package dev.cofferdam.gateway.slot;

import org.jspecify.annotations.NullMarked;
