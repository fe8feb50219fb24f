/** Snapshots of sandboxes on disk. Start at {@link dev.cofferdam.node.snapshot.SnapshotStore}. */
@NullMarked
package dev.cofferdam.node.snapshot;

import org.jspecify.annotations.NullMarked;
