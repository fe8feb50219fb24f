package dev.cofferdam.broker.ca;

import com.google.protobuf.ByteString;

/**
 * The root that the guests of one lineage trust.
 *
 * @param lineage whose it is
 * @param tenant whose the lineage is
 * @param certificate DER
 * @param sealedKey the private key (PKCS #8), sealed for this tenant and lineage
 */
public record LineageRoot(
    String lineage, String tenant, ByteString certificate, ByteString sealedKey) {}
