/**
 * What stands before the HTTP server on each connection: it takes the head with a value away from
 * it. Start at {@link dev.cofferdam.edge.head.FirstHead}.
 */
@NullMarked
package dev.cofferdam.edge.head;

import org.jspecify.annotations.NullMarked;
