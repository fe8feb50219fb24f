package dev.cofferdam.broker.grant;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.ca.LineageRoot;
import dev.cofferdam.broker.sql.Tx;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.time.Instant;
import java.util.Base64;

/** The rows of lineages and their roots. */
final class Lineages {
  private Lineages() {}

  static void insert(Tx tx, LineageRoot root, Instant now) throws SQLException {
    tx.update(
        "insert into lineage (id, tenant, certificate, sealed_key, create_time)"
            + " values (?, ?, ?, ?, ?)",
        root.lineage(),
        root.tenant(),
        root.certificate().toByteArray(),
        root.sealedKey().toByteArray(),
        now);
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

  static String pem(ByteString certificate) {
    return "-----BEGIN CERTIFICATE-----\n"
        + Base64.getMimeEncoder(64, "\n".getBytes(StandardCharsets.US_ASCII))
            .encodeToString(certificate.toByteArray())
        + "\n-----END CERTIFICATE-----\n";
  }
}
