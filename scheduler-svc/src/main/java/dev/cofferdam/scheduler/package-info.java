/**
 * The scheduler: the public API, placement and the life of sandboxes. Start at {@link
 * dev.cofferdam.scheduler.SchedulerApp}, which wires everything.
 */
@NullMarked
package dev.cofferdam.scheduler;

import org.jspecify.annotations.NullMarked;
