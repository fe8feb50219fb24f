/**
 * The gateway's own gRPC service, for node-agent. Start at {@link
 * dev.cofferdam.gateway.api.GatewayEndpoint}.
 */
@NullMarked
package dev.cofferdam.gateway.api;

import org.jspecify.annotations.NullMarked;
