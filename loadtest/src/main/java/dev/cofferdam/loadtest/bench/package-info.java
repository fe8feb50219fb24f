/** Benchmarks of single parts, with JMH, in one process and without a mesh. */
@NullMarked
package dev.cofferdam.loadtest.bench;

import org.jspecify.annotations.NullMarked;
