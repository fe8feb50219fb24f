/** What the scheduler calls here. Start at {@link dev.cofferdam.node.api.NodeApi}. */
@NullMarked
package dev.cofferdam.node.api;

import org.jspecify.annotations.NullMarked;
