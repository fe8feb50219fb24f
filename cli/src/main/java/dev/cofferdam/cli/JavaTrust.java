package dev.cofferdam.cli;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Whom to trust, for Java programs: they read no PEM, as docs/adr/0037 tells of sandboxes. */
final class JavaTrust {
  /** What every program expects; nothing in the store is secret. */
  private static final String PASSWORD = "changeit";

  private static final Pattern CERTIFICATE =
      Pattern.compile("-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----");

  private JavaTrust() {}

  /** What is no certificate in the text is none in the store. */
  static void write(String pem, Path store) throws IOException {
    try {
      CertificateFactory factory = CertificateFactory.getInstance("X.509");
      // Runtimes from 8 on read it, in each of their versions.
      KeyStore trusted = KeyStore.getInstance("JKS");
      trusted.load(null, null);
      Matcher matcher = CERTIFICATE.matcher(pem);
      while (matcher.find()) {
        byte[] one = matcher.group().getBytes(StandardCharsets.US_ASCII);
        try {
          trusted.setCertificateEntry(
              "root-" + trusted.size(), factory.generateCertificate(new ByteArrayInputStream(one)));
        } catch (CertificateException e) {
          // A program that reads the text itself would pass over it as well.
        }
      }
      try (OutputStream out = Files.newOutputStream(store)) {
        trusted.store(out, PASSWORD.toCharArray());
      }
    } catch (GeneralSecurityException e) {
      throw new IOException("no key store for Java programs", e);
    }
  }

  /** For {@code JAVA_TOOL_OPTIONS}, before what is there: of two the later counts. */
  static String options(Path store) {
    return "\"-Djavax.net.ssl.trustStore=%s\" -Djavax.net.ssl.trustStorePassword=%s"
        .formatted(store, PASSWORD);
  }
}
