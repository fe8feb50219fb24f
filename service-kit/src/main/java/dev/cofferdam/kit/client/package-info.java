/** Calls to other services. Start at {@link dev.cofferdam.kit.client.MeshChannels}. */
@NullMarked
package dev.cofferdam.kit.client;

import org.jspecify.annotations.NullMarked;
