/**
 * The only way out of a sandbox: DNS, TCP, TLS and HTTP under a policy, with secrets put in on the
 * way and taken out of the answers. Start at {@link dev.cofferdam.gateway.GatewayApp}.
 */
@NullMarked
package dev.cofferdam.gateway;

import org.jspecify.annotations.NullMarked;
