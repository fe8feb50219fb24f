package dev.cofferdam.broker.ca;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.policy.HostPattern;
import dev.cofferdam.broker.sealed.Sealer;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECPublicKey;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.Date;
import java.util.List;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralSubtree;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.asn1.x509.NameConstraints;
import org.bouncycastle.cert.X509v3CertificateBuilder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.operator.ContentVerifierProvider;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.pkcs.PKCSException;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequest;

/**
 * Makes a root for each lineage and signs, under it, issuers that can only ever speak for the names
 * of one policy revision (RFC 5280, section 4.2.1.10).
 *
 * <p>All keys are EC P-256. The constraint stands on the issuer: on a root Java would ignore it.
 */
public final class CertificateAuthority {
  /** Sandboxes have no longest life, so their root outlives any plausible one. */
  private static final Duration ROOT_LIFE = Duration.ofDays(3650);

  /** The longest that an issuer whose gateway was taken over is worth something. */
  private static final Duration ISSUER_LIFE = Duration.ofHours(24);

  /** Of one that may speak for any name. Gateways take the next one an hour before its end. */
  private static final Duration LEARNING_LIFE = Duration.ofHours(2);

  /** Guests' clocks may be behind. Part of the 24 hours. */
  private static final Duration CLOCK_SLACK = Duration.ofMinutes(5);

  private static final String SIGNATURE = "SHA256withECDSA";
  private static final int P256_BITS = 256;

  private final Sealer sealer;
  private final InstantSource clock;
  private final SecureRandom random;

  public CertificateAuthority(Sealer sealer, InstantSource clock, SecureRandom random) {
    this.sealer = sealer;
    this.clock = clock;
    this.random = random;
  }

  /** A root whose private key is not sealed yet. */
  static final class Draft {
    private final String lineage;
    private final ByteString certificate;

    /** PKCS #8. */
    private final byte[] key;

    private Draft(String lineage, ByteString certificate, byte[] key) {
      this.lineage = lineage;
      this.certificate = certificate;
      this.key = key;
    }

    void wipe() {
      Arrays.fill(key, (byte) 0);
    }
  }

  /** A new root. */
  public LineageRoot newRoot(String tenant, String lineage) {
    return seal(draft(lineage), tenant);
  }

  /** Wipes the draft: from here on the private key is there only sealed. */
  LineageRoot seal(Draft draft, String tenant) {
    try {
      return new LineageRoot(
          draft.lineage,
          tenant,
          draft.certificate,
          ByteString.copyFrom(sealer.seal(draft.key, "lineage", tenant, draft.lineage)));
    } finally {
      draft.wipe();
    }
  }

  /** What takes the time of a new root, and is the same for every tenant. */
  Draft draft(String lineage) {
    try {
      KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
      generator.initialize(new ECGenParameterSpec("secp256r1"), random);
      KeyPair pair = generator.generateKeyPair();
      X500Name name = new X500Name("CN=Cofferdam sandbox root " + lineage);
      Instant now = clock.instant();
      X509v3CertificateBuilder builder =
          new JcaX509v3CertificateBuilder(
              name,
              serial(),
              Date.from(now.minus(CLOCK_SLACK)),
              Date.from(now.plus(ROOT_LIFE)),
              name,
              pair.getPublic());
      JcaX509ExtensionUtils extensions = new JcaX509ExtensionUtils();
      builder
          .addExtension(Extension.basicConstraints, true, new BasicConstraints(1))
          .addExtension(
              Extension.keyUsage, true, new KeyUsage(KeyUsage.keyCertSign | KeyUsage.cRLSign))
          .addExtension(
              Extension.subjectKeyIdentifier,
              false,
              extensions.createSubjectKeyIdentifier(pair.getPublic()));
      return new Draft(
          lineage,
          ByteString.copyFrom(sign(builder, pair.getPrivate())),
          pair.getPrivate().getEncoded());
    } catch (GeneralSecurityException | IOException | OperatorCreationException e) {
      throw new IllegalStateException("cannot make a root for lineage " + lineage, e);
    }
  }

  /**
   * An issuer for the key of a request whose signature proves that the asker holds it: at most 24
   * h, path length 0, only for the names, for no address.
   *
   * @param names at least one: with none the constraint would permit every name
   * @param request PKCS #10, DER; nothing but its key is used
   * @return DER
   */
  public byte[] issue(LineageRoot root, List<HostPattern> names, byte[] request) {
    if (names.isEmpty()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_POLICY_INVALID,
          "the policy intercepts no host, so there is nothing to issue for");
    }
    return issue(root, permitted(names), ISSUER_LIFE, request);
  }

  /**
   * An issuer for a policy that learns, whose names nobody knows before: for every name and no
   * address, at most 2 h. No subtree of names rather than the empty one, which would mean the same
   * (RFC 5280, section 4.2.1.10) but not to every client.
   */
  public byte[] issueForAnyName(LineageRoot root, byte[] request) {
    return issue(root, new GeneralSubtree[0], LEARNING_LIFE, request);
  }

  private byte[] issue(
      LineageRoot root, GeneralSubtree[] permitted, Duration life, byte[] request) {
    PublicKey key = provenKey(request);
    try {
      X509Certificate parent =
          (X509Certificate)
              CertificateFactory.getInstance("X.509")
                  .generateCertificate(root.certificate().newInput());
      Instant begin = clock.instant().minus(CLOCK_SLACK);
      X509v3CertificateBuilder builder =
          new JcaX509v3CertificateBuilder(
              X500Name.getInstance(parent.getSubjectX500Principal().getEncoded()),
              serial(),
              Date.from(begin),
              Date.from(begin.plus(life)),
              new X500Name("CN=Cofferdam gateway issuer"),
              key);
      JcaX509ExtensionUtils extensions = new JcaX509ExtensionUtils();
      builder
          .addExtension(Extension.basicConstraints, true, new BasicConstraints(0))
          .addExtension(
              Extension.keyUsage, true, new KeyUsage(KeyUsage.keyCertSign | KeyUsage.cRLSign))
          .addExtension(
              Extension.extendedKeyUsage,
              false,
              new ExtendedKeyUsage(KeyPurposeId.id_kp_serverAuth))
          .addExtension(Extension.nameConstraints, true, constraints(permitted))
          .addExtension(
              Extension.subjectKeyIdentifier, false, extensions.createSubjectKeyIdentifier(key))
          .addExtension(
              Extension.authorityKeyIdentifier,
              false,
              extensions.createAuthorityKeyIdentifier(parent));
      return sign(builder, privateKey(root));
    } catch (GeneralSecurityException | IOException | OperatorCreationException e) {
      throw new IllegalStateException("cannot issue under lineage " + root.lineage(), e);
    }
  }

  private static GeneralSubtree[] permitted(List<HostPattern> names) {
    // A DNS name permits itself and all below it; a wildcard's own name comes with it.
    return names.stream()
        .map(HostPattern::name)
        .distinct()
        .map(name -> new GeneralSubtree(new GeneralName(GeneralName.dNSName, name)))
        .toArray(GeneralSubtree[]::new);
  }

  /**
   * @param permitted none: every name
   */
  private static NameConstraints constraints(GeneralSubtree[] permitted) {
    // Address and mask, all zero: every address of the family.
    GeneralSubtree[] excluded = {
      new GeneralSubtree(
          new GeneralName(GeneralName.iPAddress, new DEROctetString(new byte[2 * 4]))),
      new GeneralSubtree(
          new GeneralName(GeneralName.iPAddress, new DEROctetString(new byte[2 * 16])))
    };
    // An empty sequence must not be written (the same section), which null leaves out.
    return new NameConstraints(permitted.length == 0 ? null : permitted, excluded);
  }

  private static PublicKey provenKey(byte[] request) {
    try {
      JcaPKCS10CertificationRequest parsed = new JcaPKCS10CertificationRequest(request);
      PublicKey key = parsed.getPublicKey();
      if (!(key instanceof ECPublicKey ec) || ec.getParams().getOrder().bitLength() != P256_BITS) {
        throw invalid("has no EC P-256 key");
      }
      ContentVerifierProvider verifier = new JcaContentVerifierProviderBuilder().build(key);
      if (!parsed.isSignatureValid(verifier)) {
        throw invalid("has a signature that its key did not make");
      }
      return key;
    } catch (IOException
        | GeneralSecurityException
        | OperatorCreationException
        | PKCSException
        | IllegalArgumentException e) {
      throw invalid("cannot be read");
    }
  }

  private PrivateKey privateKey(LineageRoot root) throws GeneralSecurityException {
    byte[] key =
        sealer.openBytes(root.sealedKey().toByteArray(), "lineage", root.tenant(), root.lineage());
    try {
      return KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(key));
    } finally {
      Arrays.fill(key, (byte) 0);
    }
  }

  private byte[] sign(X509v3CertificateBuilder builder, PrivateKey key)
      throws OperatorCreationException, IOException, GeneralSecurityException {
    X509Certificate certificate =
        new JcaX509CertificateConverter()
            .getCertificate(
                builder.build(
                    new JcaContentSignerBuilder(SIGNATURE).setSecureRandom(random).build(key)));
    return certificate.getEncoded();
  }

  /** 127 random bits, positive and not zero (RFC 5280, section 4.1.2.2). */
  private BigInteger serial() {
    return new BigInteger(126, random).setBit(126);
  }

  private static Refusal invalid(String what) {
    return new Refusal(
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT, "the certificate request " + what);
  }
}
