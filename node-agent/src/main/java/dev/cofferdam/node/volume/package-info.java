/** Disks that outlive sandboxes. Start at {@link dev.cofferdam.node.volume.Volumes}. */
@NullMarked
package dev.cofferdam.node.volume;

import org.jspecify.annotations.NullMarked;
