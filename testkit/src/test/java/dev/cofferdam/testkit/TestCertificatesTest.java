package dev.cofferdam.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.SignatureException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TestCertificatesTest {
  private static final Integer URI = 6;

  @TempDir private Path directory;

  @Test
  void aPeerIsKnownByOneUriUnderTheCa() throws GeneralSecurityException, IOException {
    TestCertificates.PeerFiles files = TestCertificates.in(directory).peer("node-agent", "n1");
    X509Certificate leaf = read(files.certificate());
    assertThatCode(() -> leaf.verify(read(files.authority()).getPublicKey()))
        .doesNotThrowAnyException();
    assertThat(leaf.getSubjectAlternativeNames())
        .filteredOn(name -> name.get(0).equals(URI))
        .containsExactly(List.of(URI, "spiffe://cofferdam.local/node-agent/n1"));
    assertThat(files.key()).content().startsWith("-----BEGIN PRIVATE KEY-----");
  }

  @Test
  void anotherCaDidNotSignIt() throws Exception {
    Path other = Files.createDirectory(directory.resolve("other"));
    X509Certificate stranger =
        read(TestCertificates.in(other).peer("node-agent", "n1").certificate());
    X509Certificate authority = read(TestCertificates.in(directory).authorityFile());
    assertThatThrownBy(() -> stranger.verify(authority.getPublicKey()))
        .isInstanceOf(SignatureException.class);
  }

  @Test
  void aValidityThatIsOverIsOver() throws Exception {
    Instant now = Instant.now();
    X509Certificate expired =
        read(
            TestCertificates.in(directory)
                .peer(
                    "node-agent",
                    "n1",
                    now.minus(Duration.ofDays(2)),
                    now.minus(Duration.ofDays(1)))
                .certificate());
    assertThatThrownBy(expired::checkValidity).isInstanceOf(CertificateExpiredException.class);
  }

  private static X509Certificate read(Path file) throws GeneralSecurityException, IOException {
    try (InputStream input = Files.newInputStream(file)) {
      return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(input);
    }
  }
}
