/** Tests of this package. */
@NullMarked
package dev.cofferdam.scheduler.store;

import org.jspecify.annotations.NullMarked;
