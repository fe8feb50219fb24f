/**
 * What the node tells Prometheus of its room and of each sandbox. Start at {@link
 * dev.cofferdam.node.metrics.SandboxUsage}.
 */
@NullMarked
package dev.cofferdam.node.metrics;

import org.jspecify.annotations.NullMarked;
