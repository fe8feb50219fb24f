/**
 * Roots of lineages and the issuers that gateways get under them. Start at {@link
 * dev.cofferdam.broker.ca.CertificateAuthority}.
 */
@NullMarked
package dev.cofferdam.broker.ca;

import org.jspecify.annotations.NullMarked;
