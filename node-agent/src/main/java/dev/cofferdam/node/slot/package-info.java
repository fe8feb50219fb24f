/**
 * A sandbox's places in the network, some of them made ahead. Start at {@link
 * dev.cofferdam.node.slot.SlotPool}.
 */
@NullMarked
package dev.cofferdam.node.slot;

import org.jspecify.annotations.NullMarked;
