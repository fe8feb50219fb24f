/** Tests of this package. */
@NullMarked
package dev.cofferdam.scheduler.sandbox;

import org.jspecify.annotations.NullMarked;
