package dev.cofferdam.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.testkit.TestCertificates;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class JavaTrustTest {
  @TempDir private Path directory = Path.of("unset");

  @Test
  void whatIsNoCertificateInTheTextIsNoneInTheStore() throws Exception {
    TestCertificates certificates = TestCertificates.in(directory);
    String root = Files.readString(certificates.authorityFile());
    String key = Files.readString(certificates.peer("a", "1").key());
    Path store = directory.resolve("store");
    JavaTrust.write(
        "# a comment\n"
            + "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n"
            + key
            + root
            + "-----BEGIN CERTIFICATE-----\ncut off",
        store);
    KeyStore read = KeyStore.getInstance("JKS");
    try (InputStream in = Files.newInputStream(store)) {
      read.load(in, "changeit".toCharArray());
    }
    assertThat(read.size()).isEqualTo(1);
    assertThat(read.isCertificateEntry(read.aliases().nextElement())).isTrue();
  }

  @Test
  void aPathWithASpaceIsOneOption() {
    assertThat(JavaTrust.options(Path.of("/a b/c")))
        .startsWith("\"-Djavax.net.ssl.trustStore=/a b/c\" ");
  }
}
