package dev.cofferdam.deploy.authority;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECPublicKey;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Date;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class MeshAuthorityTest {
  private static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");
  private static final int URI = 6;
  private static final int DNS = 2;
  private static final int ADDRESS = 7;

  private final MeshAuthority authority =
      MeshAuthority.create(new SecureRandom(), InstantSource.fixed(NOW));

  @Test
  void aServersCertificateHoldsForItsPeerNameAndItsHostNames() throws Exception {
    X509Certificate certificate =
        authority
            .server(
                "vault-broker", "local", List.of("localhost", "127.0.0.2"), Duration.ofHours(24))
            .certificate();

    validate(certificate, NOW);
    assertThat(certificate.getSubjectAlternativeNames())
        .containsExactlyInAnyOrder(
            List.of(URI, "spiffe://cofferdam.local/vault-broker/local"),
            List.of(DNS, "localhost"),
            List.of(ADDRESS, "127.0.0.2"));
    assertThat(certificate.getExtendedKeyUsage())
        .containsExactlyInAnyOrder("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2");
    assertThat(certificate.getBasicConstraints()).isEqualTo(-1);
    assertThat(((ECPublicKey) certificate.getPublicKey()).getParams().getOrder().bitLength())
        .isEqualTo(256);
  }

  @Test
  void theOperatorsCertificateIsAClientsOnly() throws Exception {
    X509Certificate certificate =
        authority.client("operator", "local", Duration.ofHours(24)).certificate();

    validate(certificate, NOW);
    assertThat(certificate.getSubjectAlternativeNames())
        .containsExactly(List.of(URI, "spiffe://cofferdam.local/operator/local"));
    assertThat(certificate.getExtendedKeyUsage()).containsExactly("1.3.6.1.5.5.7.3.2");
  }

  @Test
  void aCertificateEndsAfterItsLifetime() throws Exception {
    X509Certificate certificate =
        authority.server("node-agent", "local", List.of(), Duration.ofHours(24)).certificate();

    validate(certificate, NOW.plus(Duration.ofHours(24)));
    assertThatThrownBy(() -> validate(certificate, NOW.plus(Duration.ofHours(24)).plusSeconds(1)))
        .isInstanceOf(CertPathValidatorException.class);
  }

  @Test
  void anIssuedCertificateCannotIssue() throws Exception {
    X509Certificate certificate =
        authority.server("node-agent", "local", List.of(), Duration.ofHours(24)).certificate();

    assertThat(certificate.getKeyUsage()[5]).as("keyCertSign").isFalse();
    assertThat(authority.certificate().getBasicConstraints()).as("path length").isZero();
  }

  @Test
  void aReopenedAuthorityIsTheSame(@TempDir Path directory) throws Exception {
    MeshAuthority made =
        MeshAuthority.openOrCreate(directory, new SecureRandom(), InstantSource.fixed(NOW));
    MeshAuthority reopened =
        MeshAuthority.openOrCreate(directory, new SecureRandom(), InstantSource.fixed(NOW));

    assertThat(reopened.certificate()).isEqualTo(made.certificate());
    validate(
        reopened.client("operator", "local", Duration.ofHours(1)).certificate(),
        NOW,
        made.certificate());
    assertThat(
            PosixFilePermissions.toString(
                Files.getPosixFilePermissions(directory.resolve("ca.key"))))
        .isEqualTo("rw-------");
  }

  @Test
  void pemRoundTripsThroughTheJdk() throws Exception {
    MeshAuthority.Identity identity = authority.client("operator", "local", Duration.ofHours(1));
    try (var bytes =
        new ByteArrayInputStream(
            Pem.of(identity.certificate()).getBytes(StandardCharsets.US_ASCII))) {
      assertThat(CertificateFactory.getInstance("X.509").generateCertificate(bytes))
          .isEqualTo(identity.certificate());
    }
    Signature signer = Signature.getInstance("SHA256withECDSA");
    signer.initSign(identity.key());
    signer.update(new byte[] {1, 2, 3});
    byte[] signature = signer.sign();
    signer.initVerify(identity.certificate());
    signer.update(new byte[] {1, 2, 3});
    assertThat(signer.verify(signature)).isTrue();
  }

  @Test
  void refusesNamesThatWouldStandForAnotherPeer() {
    assertThatThrownBy(() -> MeshAuthority.uri("node-agent/x", "local"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("node-agent/x");
    assertThatThrownBy(() -> MeshAuthority.uri("node-agent", ""))
        .isInstanceOf(IllegalArgumentException.class);
  }

  private void validate(X509Certificate certificate, Instant at) throws Exception {
    validate(certificate, at, authority.certificate());
  }

  private static void validate(X509Certificate certificate, Instant at, X509Certificate anchor)
      throws Exception {
    PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(anchor, null)));
    parameters.setRevocationEnabled(false);
    parameters.setDate(Date.from(at));
    var _ =
        CertPathValidator.getInstance("PKIX")
            .validate(
                CertificateFactory.getInstance("X.509").generateCertPath(List.of(certificate)),
                parameters);
  }
}
