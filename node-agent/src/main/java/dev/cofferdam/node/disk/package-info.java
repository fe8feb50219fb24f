/**
 * What lies on disk: files that are mostly holes, and the directories of sandboxes. Start at {@link
 * dev.cofferdam.node.disk.SparseFile} and {@link dev.cofferdam.node.disk.SandboxFiles}.
 */
@NullMarked
package dev.cofferdam.node.disk;

import org.jspecify.annotations.NullMarked;
