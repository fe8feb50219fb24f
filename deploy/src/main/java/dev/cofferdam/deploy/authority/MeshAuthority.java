package dev.cofferdam.deploy.authority;

import dev.cofferdam.deploy.account.OwnedFiles;
import java.io.IOException;
import java.io.StringReader;
import java.math.BigInteger;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;

/**
 * The CA of one mesh: EC P-256, made at the first start, kept in a directory of root's. Whoever
 * holds its key can be any process of the mesh. Safe for use by several threads.
 */
public final class MeshAuthority {
  public static final String TRUST_DOMAIN = "cofferdam.local";

  /** Clocks of one machine agree; a minute covers a step of the clock while starting. */
  private static final Duration BACKDATE = Duration.ofMinutes(1);

  private static final Duration LIFETIME = Duration.ofDays(3650);
  private static final String SIGNATURE = "SHA256withECDSA";

  private final PrivateKey key;
  private final X509Certificate certificate;
  private final SecureRandom random;
  private final InstantSource clock;

  private MeshAuthority(
      PrivateKey key, X509Certificate certificate, SecureRandom random, InstantSource clock) {
    this.key = key;
    this.certificate = certificate;
    this.random = random;
    this.clock = clock;
  }

  /** A new CA that lives in memory alone. */
  public static MeshAuthority create(SecureRandom random, InstantSource clock) {
    KeyPair pair = newKey(random);
    X500Name name = new X500Name("CN=Cofferdam mesh CA");
    Instant now = clock.instant();
    JcaX509v3CertificateBuilder builder =
        new JcaX509v3CertificateBuilder(
            name,
            serial(random),
            Date.from(now.minus(BACKDATE)),
            Date.from(now.plus(LIFETIME)),
            name,
            pair.getPublic());
    try {
      builder
          .addExtension(Extension.basicConstraints, true, new BasicConstraints(0))
          .addExtension(
              Extension.keyUsage, true, new KeyUsage(KeyUsage.keyCertSign | KeyUsage.cRLSign))
          .addExtension(
              Extension.subjectKeyIdentifier,
              false,
              new JcaX509ExtensionUtils().createSubjectKeyIdentifier(pair.getPublic()));
    } catch (IOException | GeneralSecurityException e) {
      throw new IllegalStateException("cannot build the CA's certificate", e);
    }
    return new MeshAuthority(pair.getPrivate(), sign(builder, pair.getPrivate()), random, clock);
  }

  /** The CA kept in {@code directory}, made and kept there when there is none. */
  public static MeshAuthority openOrCreate(Path directory, SecureRandom random, InstantSource clock)
      throws IOException {
    Path keyFile = directory.resolve("ca.key");
    Path certificateFile = directory.resolve("ca.pem");
    if (!Files.exists(keyFile)) {
      MeshAuthority created = create(random, clock);
      OwnedFiles.write(certificateFile, Pem.of(created.certificate), "rw-r--r--");
      // The key last: it is what says that the CA is complete.
      OwnedFiles.write(keyFile, Pem.of(created.key), "rw-------");
      return created;
    }
    try (PEMParser keys = new PEMParser(new StringReader(Files.readString(keyFile)));
        PEMParser certificates =
            new PEMParser(new StringReader(Files.readString(certificateFile)))) {
      if (keys.readObject() instanceof PrivateKeyInfo info
          && certificates.readObject() instanceof X509CertificateHolder holder) {
        return new MeshAuthority(
            new JcaPEMKeyConverter().getPrivateKey(info), convert(holder), random, clock);
      }
      throw new IOException(
          directory + " holds no CA: expected a PKCS #8 key in ca.key, a certificate in ca.pem");
    }
  }

  public X509Certificate certificate() {
    return certificate;
  }

  /**
   * A key and a certificate for {@code spiffe://cofferdam.local/<service>/<instance>}, for both
   * ends of a connection.
   *
   * @param names DNS names and IPv4 addresses by which clients that know nothing of such URIs reach
   *     it
   */
  public Identity server(String service, String instance, List<String> names, Duration lifetime) {
    return issue(
        service,
        instance,
        names,
        lifetime,
        KeyPurposeId.id_kp_serverAuth,
        KeyPurposeId.id_kp_clientAuth);
  }

  /** As {@link #server}, for the client's end alone. */
  public Identity client(String service, String instance, Duration lifetime) {
    return issue(service, instance, List.of(), lifetime, KeyPurposeId.id_kp_clientAuth);
  }

  private Identity issue(
      String service,
      String instance,
      List<String> hosts,
      Duration lifetime,
      KeyPurposeId... purposes) {
    KeyPair pair = newKey(random);
    Instant now = clock.instant();
    JcaX509v3CertificateBuilder builder =
        new JcaX509v3CertificateBuilder(
            certificate,
            serial(random),
            Date.from(now.minus(BACKDATE)),
            Date.from(now.plus(lifetime)),
            new javax.security.auth.x500.X500Principal("CN=" + service),
            pair.getPublic());
    List<GeneralName> names = new ArrayList<>();
    names.add(
        new GeneralName(GeneralName.uniformResourceIdentifier, uri(service, instance).toString()));
    for (String host : hosts) {
      boolean address = host.matches("[0-9.]+");
      names.add(new GeneralName(address ? GeneralName.iPAddress : GeneralName.dNSName, host));
    }
    try {
      JcaX509ExtensionUtils utilities = new JcaX509ExtensionUtils();
      builder
          .addExtension(Extension.basicConstraints, true, new BasicConstraints(false))
          .addExtension(Extension.keyUsage, true, new KeyUsage(KeyUsage.digitalSignature))
          .addExtension(Extension.extendedKeyUsage, false, new ExtendedKeyUsage(purposes))
          .addExtension(
              Extension.authorityKeyIdentifier,
              false,
              utilities.createAuthorityKeyIdentifier(certificate))
          .addExtension(
              Extension.subjectKeyIdentifier,
              false,
              utilities.createSubjectKeyIdentifier(pair.getPublic()))
          .addExtension(
              Extension.subjectAlternativeName,
              false,
              new GeneralNames(names.toArray(new GeneralName[0])));
    } catch (IOException | GeneralSecurityException e) {
      throw new IllegalStateException("cannot build a certificate for " + service, e);
    }
    return new Identity(pair.getPrivate(), sign(builder, key));
  }

  /** Which peer a certificate of this mesh stands for. */
  public static URI uri(String service, String instance) {
    if (!service.matches("[a-z][a-z0-9-]{0,62}") || !instance.matches("[a-z0-9][a-z0-9.-]{0,62}")) {
      throw new IllegalArgumentException(
          "'%s/%s' is no peer, expected lower-case names".formatted(service, instance));
    }
    return URI.create("spiffe://" + TRUST_DOMAIN + "/" + service + "/" + instance);
  }

  private static X509Certificate sign(JcaX509v3CertificateBuilder builder, PrivateKey signer) {
    try {
      return convert(builder.build(new JcaContentSignerBuilder(SIGNATURE).build(signer)));
    } catch (OperatorCreationException | IOException e) {
      throw new IllegalStateException("cannot sign a certificate", e);
    }
  }

  private static X509Certificate convert(X509CertificateHolder holder) throws IOException {
    try {
      return new JcaX509CertificateConverter().getCertificate(holder);
    } catch (GeneralSecurityException e) {
      throw new IOException("not an X.509 certificate", e);
    }
  }

  private static KeyPair newKey(SecureRandom random) {
    try {
      KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
      generator.initialize(new ECGenParameterSpec("secp256r1"), random);
      return generator.generateKeyPair();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("this JDK cannot make P-256 keys", e);
    }
  }

  /** RFC 5280, section 4.1.2.2: positive and at most 20 bytes. */
  private static BigInteger serial(SecureRandom random) {
    return new BigInteger(127, random).setBit(126);
  }

  /** A private key and the certificate of its public half. */
  public record Identity(PrivateKey key, X509Certificate certificate) {
    public PublicKey publicKey() {
      return certificate.getPublicKey();
    }

    @Override
    public String toString() {
      return "Identity[" + certificate.getSubjectX500Principal() + "]";
    }
  }
}
