/**
 * Packets that a slot refused, on their way to the audit. Start at {@link
 * dev.cofferdam.node.drops.DropReporter}.
 */
@NullMarked
package dev.cofferdam.node.drops;

import org.jspecify.annotations.NullMarked;
