/**
 * Turns one host into sandboxes. Start at {@link dev.cofferdam.node.NodeApp}, which wires
 * everything.
 */
@NullMarked
package dev.cofferdam.node;

import org.jspecify.annotations.NullMarked;
