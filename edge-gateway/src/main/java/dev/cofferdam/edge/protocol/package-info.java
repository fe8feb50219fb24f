/**
 * JSON-RPC 2.0 as the Deno Sandbox SDKs speak it, and their errors; docs/deno-protocol.md. Start at
 * {@link dev.cofferdam.edge.protocol.Message}.
 */
@NullMarked
package dev.cofferdam.edge.protocol;

import org.jspecify.annotations.NullMarked;
