/** Tests of this package. */
@NullMarked
package dev.cofferdam.scheduler.api;

import org.jspecify.annotations.NullMarked;
