/** The life of a sandbox on this node. Start at {@link dev.cofferdam.node.sandbox.Sandboxes}. */
@NullMarked
package dev.cofferdam.node.sandbox;

import org.jspecify.annotations.NullMarked;
