/**
 * Speaks the protocol of the published Deno Sandbox SDKs and is nothing but a client of the public
 * API and of the broker's SecretService. Start at {@link dev.cofferdam.edge.EdgeApp}.
 */
@NullMarked
package dev.cofferdam.edge;

import org.jspecify.annotations.NullMarked;
