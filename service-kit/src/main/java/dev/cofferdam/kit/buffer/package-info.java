/**
 * Memory for bytes that must not outlive their use: {@link
 * dev.cofferdam.kit.buffer.ZeroingAllocator}.
 */
@NullMarked
package dev.cofferdam.kit.buffer;

import org.jspecify.annotations.NullMarked;
