/** The client of the egress gateway. Start at {@link dev.cofferdam.node.gateway.GrpcGateway}. */
@NullMarked
package dev.cofferdam.node.gateway;

import org.jspecify.annotations.NullMarked;
