/**
 * A gRPC listener with everything each service has. Start at {@link
 * dev.cofferdam.kit.server.RpcServer}.
 */
@NullMarked
package dev.cofferdam.kit.server;

import org.jspecify.annotations.NullMarked;
