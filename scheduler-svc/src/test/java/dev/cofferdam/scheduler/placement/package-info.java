/** Tests of this package. */
@NullMarked
package dev.cofferdam.scheduler.placement;

import org.jspecify.annotations.NullMarked;
