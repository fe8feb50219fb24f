/**
 * Certificates towards the guest, verification towards upstreams. Start at {@link
 * dev.cofferdam.gateway.tls.SandboxCertificates} and {@link dev.cofferdam.gateway.tls.UpstreamTls}.
 */
@NullMarked
package dev.cofferdam.gateway.tls;

import org.jspecify.annotations.NullMarked;
