/**
 * A real node agent driven by hand: needs root, node-helper and an image. Start at {@link
 * dev.cofferdam.node.real.NodeDriver}.
 */
@NullMarked
package dev.cofferdam.node.real;

import org.jspecify.annotations.NullMarked;
