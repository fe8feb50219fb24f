/** The parts of the load tests that can be right or wrong without a mesh. */
@NullMarked
package dev.cofferdam.loadtest;

import org.jspecify.annotations.NullMarked;
