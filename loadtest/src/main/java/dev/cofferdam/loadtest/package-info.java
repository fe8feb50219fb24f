/**
 * Workloads against a running mesh, through its public API. They print percentiles and ratios that
 * were measured side by side and assert nothing about time. Start at {@link
 * dev.cofferdam.loadtest.Main}.
 */
@NullMarked
package dev.cofferdam.loadtest;

import org.jspecify.annotations.NullMarked;
