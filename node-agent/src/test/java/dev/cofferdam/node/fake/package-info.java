/** A host that is nothing but memory, for tests: it survives the node agent that runs on it. */
@NullMarked
package dev.cofferdam.node.fake;

import org.jspecify.annotations.NullMarked;
