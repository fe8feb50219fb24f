/**
 * The nodes: which there are, which are connected, what is reserved on each, how to call them.
 * Start at {@link dev.cofferdam.scheduler.cluster.Cluster}.
 */
@NullMarked
package dev.cofferdam.scheduler.cluster;

import org.jspecify.annotations.NullMarked;
