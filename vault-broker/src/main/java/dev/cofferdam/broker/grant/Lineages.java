package dev.cofferdam.broker.grant;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.ca.CertificateAuthority;
import dev.cofferdam.broker.ca.LineageRoot;
import dev.cofferdam.broker.sql.Tx;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.time.InstantSource;
import java.util.Base64;

/** The rows of lineages and their roots. */
final class Lineages {
  private final CertificateAuthority authority;
  private final RandomTokens tokens;
  private final InstantSource clock;

  Lineages(CertificateAuthority authority, RandomTokens tokens, InstantSource clock) {
    this.authority = authority;
    this.tokens = tokens;
    this.clock = clock;
  }

  LineageRoot begin(Tx tx, String tenant) throws SQLException {
    LineageRoot root = authority.newRoot(tenant, tokens.id("ln-"));
    tx.update(
        "insert into lineage (id, tenant, certificate, sealed_key, create_time)"
            + " values (?, ?, ?, ?, ?)",
        root.lineage(),
        tenant,
        root.certificate().toByteArray(),
        root.sealedKey().toByteArray(),
        clock.instant());
    return root;
  }

  static LineageRoot read(Tx tx, String lineage) throws SQLException {
    return tx.only(
        "select id, tenant, certificate, sealed_key from lineage where id = ?",
        row ->
            new LineageRoot(
                row.getString("id"),
                row.getString("tenant"),
                ByteString.copyFrom(row.getBytes("certificate")),
                ByteString.copyFrom(row.getBytes("sealed_key"))),
        lineage);
  }

  static String pem(LineageRoot root) {
    return "-----BEGIN CERTIFICATE-----\n"
        + Base64.getMimeEncoder(64, "\n".getBytes(StandardCharsets.US_ASCII))
            .encodeToString(root.certificate().toByteArray())
        + "\n-----END CERTIFICATE-----\n";
  }
}
