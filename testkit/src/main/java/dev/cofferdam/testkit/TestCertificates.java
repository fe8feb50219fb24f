package dev.cofferdam.testkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.Date;
import java.util.List;
import javax.security.auth.x500.X500Principal;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.CertIOException;
import org.bouncycastle.cert.X509v3CertificateBuilder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;

/**
 * A mesh's CA and the certificates of its peers, as files. Two instances are two CAs that do not
 * trust each other. Not safe for use by several threads.
 */
public final class TestCertificates {
  /** The trust domain that services assume where none is configured. */
  public static final String TRUST_DOMAIN = "cofferdam.local";

  /**
   * The files of one peer, all PEM.
   *
   * @param certificate the leaf
   * @param key its private key, PKCS #8
   * @param authority the CA
   */
  public record PeerFiles(Path certificate, Path key, Path authority) {}

  private final Path directory;
  private final KeyPair authorityKey;
  private final X509Certificate authority;
  private final SecureRandom random = new SecureRandom();

  private TestCertificates(Path directory) {
    this.directory = directory;
    this.authorityKey = newKey();
    X500Principal name = new X500Principal("CN=Cofferdam test mesh");
    Instant now = Instant.now();
    try {
      authority =
          sign(
              builder(
                      name,
                      name,
                      now.minus(Duration.ofHours(1)),
                      now.plus(Duration.ofDays(7)),
                      authorityKey)
                  .addExtension(Extension.basicConstraints, true, new BasicConstraints(0))
                  .addExtension(
                      Extension.keyUsage,
                      true,
                      new KeyUsage(KeyUsage.keyCertSign | KeyUsage.cRLSign)),
              authorityKey);
    } catch (CertIOException e) {
      throw new IllegalStateException(e);
    }
    write(authorityFile(), "CERTIFICATE", encoded(authority));
  }

  /** A new CA, whose certificate is {@code authority.pem} in the directory. */
  public static TestCertificates in(Path directory) {
    return new TestCertificates(directory);
  }

  public Path authorityFile() {
    return directory.resolve("authority.pem");
  }

  /** Of a peer of the mesh, valid now, for client and server. A repeat replaces the files. */
  public PeerFiles peer(String service, String instance) {
    Instant now = Instant.now();
    return peer(service, instance, now.minus(Duration.ofHours(1)), now.plus(Duration.ofDays(1)));
  }

  /** The same with a validity of the test's choice, such as one that is over. */
  public PeerFiles peer(String service, String instance, Instant notBefore, Instant notAfter) {
    return issue(
        service + "-" + instance,
        List.of(
            new GeneralName(
                GeneralName.uniformResourceIdentifier,
                "spiffe://%s/%s/%s".formatted(TRUST_DOMAIN, service, instance)),
            new GeneralName(GeneralName.dNSName, "localhost"),
            new GeneralName(GeneralName.iPAddress, "127.0.0.1")),
        notBefore,
        notAfter);
  }

  /** A leaf with URIs of the test's choice, for peers that are not who they should be. */
  public PeerFiles withUris(String file, String... uris) {
    Instant now = Instant.now();
    return issue(
        file,
        java.util.Arrays.stream(uris)
            .map(uri -> new GeneralName(GeneralName.uniformResourceIdentifier, uri))
            .toList(),
        now.minus(Duration.ofHours(1)),
        now.plus(Duration.ofDays(1)));
  }

  private PeerFiles issue(
      String file, List<GeneralName> names, Instant notBefore, Instant notAfter) {
    KeyPair key = newKey();
    try {
      X509v3CertificateBuilder leaf =
          builder(
                  authority.getSubjectX500Principal(),
                  new X500Principal("CN=" + file),
                  notBefore,
                  notAfter,
                  key)
              .addExtension(Extension.basicConstraints, true, new BasicConstraints(false))
              .addExtension(Extension.keyUsage, true, new KeyUsage(KeyUsage.digitalSignature))
              .addExtension(
                  Extension.extendedKeyUsage,
                  false,
                  new ExtendedKeyUsage(
                      new KeyPurposeId[] {
                        KeyPurposeId.id_kp_serverAuth, KeyPurposeId.id_kp_clientAuth
                      }));
      if (!names.isEmpty()) {
        leaf.addExtension(
            Extension.subjectAlternativeName,
            false,
            new GeneralNames(names.toArray(GeneralName[]::new)));
      }
      PeerFiles files =
          new PeerFiles(
              directory.resolve(file + ".pem"), directory.resolve(file + ".key"), authorityFile());
      write(files.key(), "PRIVATE KEY", key.getPrivate().getEncoded());
      write(files.certificate(), "CERTIFICATE", encoded(sign(leaf, authorityKey)));
      return files;
    } catch (CertIOException e) {
      throw new IllegalStateException(e);
    }
  }

  private X509v3CertificateBuilder builder(
      X500Principal issuer,
      X500Principal subject,
      Instant notBefore,
      Instant notAfter,
      KeyPair key) {
    return new JcaX509v3CertificateBuilder(
        issuer,
        new BigInteger(127, random),
        Date.from(notBefore),
        Date.from(notAfter),
        subject,
        key.getPublic());
  }

  private static X509Certificate sign(X509v3CertificateBuilder certificate, KeyPair signer) {
    try {
      return new JcaX509CertificateConverter()
          .getCertificate(
              certificate.build(
                  new JcaContentSignerBuilder("SHA256withECDSA").build(signer.getPrivate())));
    } catch (GeneralSecurityException | OperatorCreationException e) {
      throw new IllegalStateException(e);
    }
  }

  private static KeyPair newKey() {
    try {
      KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
      generator.initialize(new ECGenParameterSpec("secp256r1"));
      return generator.generateKeyPair();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  private static byte[] encoded(X509Certificate certificate) {
    try {
      return certificate.getEncoded();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException(e);
    }
  }

  /** By rename, so that a process that reloads the file never reads half of it. */
  private static void write(Path file, String label, byte[] der) {
    String text =
        "-----BEGIN %s-----%n%s%n-----END %s-----%n"
            .formatted(
                label, Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der), label);
    Path fresh = file.resolveSibling(file.getFileName() + ".new");
    try {
      Files.writeString(fresh, text);
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
