/** The HTTP endpoints. Start at {@link dev.cofferdam.edge.api.EdgeServer}. */
@NullMarked
package dev.cofferdam.edge.api;

import org.jspecify.annotations.NullMarked;
