/** Streams passed on unread. Start at {@link dev.cofferdam.kit.relay.OpaqueRelay}. */
@NullMarked
package dev.cofferdam.kit.relay;

import org.jspecify.annotations.NullMarked;
