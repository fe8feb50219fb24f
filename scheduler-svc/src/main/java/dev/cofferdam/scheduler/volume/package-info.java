/** Disks that outlive sandboxes. Start at {@link dev.cofferdam.scheduler.volume.VolumeState}. */
@NullMarked
package dev.cofferdam.scheduler.volume;

import org.jspecify.annotations.NullMarked;
