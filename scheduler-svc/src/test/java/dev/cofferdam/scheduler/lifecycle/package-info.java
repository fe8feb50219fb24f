/** Tests of this package. */
@NullMarked
package dev.cofferdam.scheduler.lifecycle;

import org.jspecify.annotations.NullMarked;
