/** Tests of this package. */
@NullMarked
package dev.cofferdam.scheduler.cluster;

import org.jspecify.annotations.NullMarked;
