/** Tests of the gateway over real sockets on loopback, with a fake broker behind real gRPC. */
@NullMarked
package dev.cofferdam.gateway;

import org.jspecify.annotations.NullMarked;
