/**
 * What a snapshot of a sandbox is. Start at {@link dev.cofferdam.scheduler.snapshot.Snapshot}; how
 * one comes and goes is in {@code lifecycle}.
 */
@NullMarked
package dev.cofferdam.scheduler.snapshot;

import org.jspecify.annotations.NullMarked;
