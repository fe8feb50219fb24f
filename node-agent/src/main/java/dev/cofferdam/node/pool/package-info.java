/**
 * Machines made ahead, so that a create costs a hand-over instead of a boot. Start at {@link
 * dev.cofferdam.node.pool.MachinePool}.
 */
@NullMarked
package dev.cofferdam.node.pool;

import org.jspecify.annotations.NullMarked;
