/**
 * Volumes of a tenant as the SDKs know them. Start at {@link dev.cofferdam.edge.volume.Volumes}.
 */
@NullMarked
package dev.cofferdam.edge.volume;

import org.jspecify.annotations.NullMarked;
