/** Tests of this package. */
@NullMarked
package dev.cofferdam.scheduler;

import org.jspecify.annotations.NullMarked;
