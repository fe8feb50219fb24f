package dev.cofferdam.broker.ca;

import static dev.cofferdam.broker.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.broker.policy.HostPattern;
import dev.cofferdam.broker.sealed.KeysetFile;
import dev.cofferdam.broker.sealed.Sealer;
import dev.cofferdam.testkit.SettableClock;
import dev.cofferdam.v1.ErrorReason;
import java.io.ByteArrayInputStream;
import java.math.BigInteger;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.time.Duration;
import java.util.Date;
import java.util.List;
import java.util.Set;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@SuppressWarnings("NullAway.Init") // JUnit fills the fields
class CertificateAuthorityTest {
  private final SettableClock clock = SettableClock.fixed();
  private CertificateAuthority authority;
  private LineageRoot root;
  private KeyPair gateway;

  @BeforeEach
  void begin(@TempDir Path directory) throws Exception {
    Sealer sealer = new Sealer(KeysetFile.open(directory.resolve("keyset")), new SecureRandom());
    authority = new CertificateAuthority(sealer, clock, new SecureRandom());
    root = authority.newRoot("acme", "ln-1");
    gateway = key("secp256r1");
  }

  @ParameterizedTest
  @ValueSource(strings = {"SUN", "BC"})
  void namesOfThePolicyAreAcceptedAndNoOthers(String verifier) throws Exception {
    X509Certificate issuer = issue("api.example.com", "*.example.org");
    for (String inside : List.of("api.example.com", "a.example.org", "b.a.example.org")) {
      verify(verifier, issuer, dns(inside));
    }
    for (String outside :
        List.of("example.com", "evil.com", "evil-api.example.com", "api.example.com.evil.com")) {
      assertThatThrownBy(() -> verify(verifier, issuer, dns(outside)))
          .as(outside)
          .isInstanceOf(CertPathValidatorException.class);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"SUN", "BC"})
  void noAddressIsAccepted(String verifier) throws Exception {
    X509Certificate issuer = issue("api.example.com");
    for (String address : List.of("127.0.0.1", "203.0.113.7", "::1", "2001:db8::1")) {
      GeneralName name = new GeneralName(GeneralName.iPAddress, address);
      assertThatThrownBy(() -> verify(verifier, issuer, name))
          .as(address)
          .isInstanceOf(CertPathValidatorException.class);
    }
  }

  /** For a policy that learns: any name, still no address, and not for long. */
  @ParameterizedTest
  @ValueSource(strings = {"SUN", "BC"})
  void anIssuerForAnyNameIsForNamesAlone(String verifier) throws Exception {
    X509Certificate issuer =
        certificate(authority.issueForAnyName(root, request(gateway, gateway.getPublic())));
    for (String name : List.of("api.example.com", "evil.com", "a.b.c.test")) {
      verify(verifier, issuer, dns(name));
    }
    for (String address : List.of("198.18.1.1", "2001:db8::1")) {
      assertThatThrownBy(
              () -> verify(verifier, issuer, new GeneralName(GeneralName.iPAddress, address)))
          .as(address)
          .isInstanceOf(CertPathValidatorException.class);
    }
    assertThat(issuer.getCriticalExtensionOIDs()).contains(Extension.nameConstraints.getId());
    assertThat(issuer.getBasicConstraints()).isZero();
    assertThat(Duration.between(clock.instant(), issuer.getNotAfter().toInstant()))
        .isLessThanOrEqualTo(Duration.ofHours(2));
  }

  @ParameterizedTest
  @ValueSource(strings = {"SUN", "BC"})
  void theIssuerIssuesNoIssuers(String verifier) throws Exception {
    X509Certificate issuer = issue("api.example.com");
    KeyPair below = key("secp256r1");
    var builder =
        new JcaX509v3CertificateBuilder(
            X500Name.getInstance(issuer.getSubjectX500Principal().getEncoded()),
            BigInteger.TWO,
            issuer.getNotBefore(),
            issuer.getNotAfter(),
            new X500Name("CN=second issuer"),
            below.getPublic());
    builder.addExtension(
        Extension.basicConstraints, true, new org.bouncycastle.asn1.x509.BasicConstraints(0));
    X509Certificate second = sign(builder, gateway);
    X509Certificate leaf = leaf(second, below, dns("api.example.com"));
    assertThatThrownBy(() -> verify(verifier, List.of(leaf, second, issuer)))
        .isInstanceOf(CertPathValidatorException.class);
  }

  @Test
  void theIssuerIsShortLivedOfPathLengthNullAndCriticallyConstrained() throws Exception {
    X509Certificate issuer = issue("api.example.com");
    assertThat(
            Duration.between(issuer.getNotBefore().toInstant(), issuer.getNotAfter().toInstant()))
        .isLessThanOrEqualTo(Duration.ofHours(24));
    assertThat(issuer.getNotAfter().toInstant()).isAfter(clock.instant());
    assertThat(issuer.getNotBefore().toInstant()).isBefore(clock.instant());
    assertThat(issuer.getBasicConstraints()).isZero();
    assertThat(issuer.getCriticalExtensionOIDs())
        .contains(Extension.nameConstraints.getId(), Extension.basicConstraints.getId());
    assertThat(issuer.getPublicKey()).isEqualTo(gateway.getPublic());
  }

  @Test
  void everyLineageHasARootOfItsOwnWithoutConstraints() throws Exception {
    X509Certificate certificate = certificate(root.certificate().toByteArray());
    X509Certificate other =
        certificate(authority.newRoot("acme", "ln-2").certificate().toByteArray());
    assertThat(certificate.getPublicKey()).isNotEqualTo(other.getPublicKey());
    assertThat(certificate.getBasicConstraints()).isEqualTo(1);
    assertThat(certificate.getExtensionValue(Extension.nameConstraints.getId())).isNull();
    certificate.verify(certificate.getPublicKey());
  }

  @Test
  void aPolicyThatInterceptsNothingGetsNoIssuer() {
    assertRefused(
        () -> authority.issue(root, List.of(), request(gateway, gateway.getPublic())),
        ErrorReason.ERROR_REASON_POLICY_INVALID);
  }

  @Test
  void aRequestForSomebodyElsesKeyIsRefused() throws Exception {
    byte[] forged = request(key("secp256r1"), gateway.getPublic());
    assertRefused(() -> issue(forged), ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
  }

  @Test
  void otherCurvesAndGarbageAreRefused() throws Exception {
    KeyPair other = key("secp384r1");
    byte[] request = request(other, other.getPublic());
    assertRefused(() -> issue(request), ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    assertRefused(() -> issue(new byte[] {1, 2, 3}), ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    assertRefused(() -> issue(new byte[0]), ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
  }

  @Test
  void aRootsKeyOpensForItsOwnTenantAlone() {
    LineageRoot stolen = new LineageRoot("ln-1", "umbrella", root.certificate(), root.sealedKey());
    assertThatThrownBy(() ->
            authority.issue(
                stolen,
                List.of(HostPattern.parse("api.example.com")),
                request(gateway, gateway.getPublic())))
        .isInstanceOf(IllegalStateException.class);
  }

  private X509Certificate issue(String... names) throws Exception {
    return certificate(
        authority.issue(
            root,
            List.of(names).stream().map(HostPattern::parse).toList(),
            request(gateway, gateway.getPublic())));
  }

  private byte[] issue(byte[] request) {
    return authority.issue(root, List.of(HostPattern.parse("api.example.com")), request);
  }

  private void verify(String provider, X509Certificate issuer, GeneralName name) throws Exception {
    verify(provider, List.of(leaf(issuer, gateway, name), issuer));
  }

  private void verify(String provider, List<X509Certificate> path) throws Exception {
    PKIXParameters parameters =
        new PKIXParameters(
            Set.of(new TrustAnchor(certificate(root.certificate().toByteArray()), null)));
    parameters.setRevocationEnabled(false);
    parameters.setDate(Date.from(clock.instant()));
    var bouncyCastle = new BouncyCastleProvider();
    if (provider.equals("BC")) {
      var factory = CertificateFactory.getInstance("X.509", bouncyCastle);
      var _ =
          CertPathValidator.getInstance("PKIX", bouncyCastle)
              .validate(factory.generateCertPath(path), parameters);
    } else {
      var factory = CertificateFactory.getInstance("X.509");
      var _ =
          CertPathValidator.getInstance("PKIX", provider)
              .validate(factory.generateCertPath(path), parameters);
    }
  }

  private static GeneralName dns(String name) {
    return new GeneralName(GeneralName.dNSName, name);
  }

  private static X509Certificate leaf(X509Certificate issuer, KeyPair issuerKey, GeneralName name)
      throws Exception {
    var builder =
        new JcaX509v3CertificateBuilder(
            X500Name.getInstance(issuer.getSubjectX500Principal().getEncoded()),
            BigInteger.ONE,
            issuer.getNotBefore(),
            issuer.getNotAfter(),
            new X500Name("CN=leaf"),
            key("secp256r1").getPublic());
    builder.addExtension(Extension.subjectAlternativeName, false, new GeneralNames(name));
    return sign(builder, issuerKey);
  }

  private static X509Certificate sign(JcaX509v3CertificateBuilder builder, KeyPair key)
      throws Exception {
    X509CertificateHolder holder =
        builder.build(new JcaContentSignerBuilder("SHA256withECDSA").build(key.getPrivate()));
    return new JcaX509CertificateConverter().getCertificate(holder);
  }

  private static byte[] request(KeyPair signer, PublicKey key) throws Exception {
    return new JcaPKCS10CertificationRequestBuilder(new X500Name("CN=gateway"), key)
        .build(
            new JcaContentSignerBuilder(
                    signer.getPublic().toString().contains("384")
                        ? "SHA384withECDSA"
                        : "SHA256withECDSA")
                .build(signer.getPrivate()))
        .getEncoded();
  }

  private static KeyPair key(String curve) throws GeneralSecurityException {
    KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
    generator.initialize(new ECGenParameterSpec(curve));
    return generator.generateKeyPair();
  }

  private static X509Certificate certificate(byte[] der) throws GeneralSecurityException {
    return (X509Certificate)
        CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(der));
  }
}
