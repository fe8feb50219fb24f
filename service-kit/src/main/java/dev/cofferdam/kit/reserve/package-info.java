/** Things made before they are asked for: {@link dev.cofferdam.kit.reserve.Reservoir}. */
@NullMarked
package dev.cofferdam.kit.reserve;

import org.jspecify.annotations.NullMarked;
