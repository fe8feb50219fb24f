/**
 * The values that arrive with a create, off the heap from the first byte to the broker. Start at
 * {@link dev.cofferdam.edge.secret.CarriedConfig}.
 */
@NullMarked
package dev.cofferdam.edge.secret;

import org.jspecify.annotations.NullMarked;
