package dev.cofferdam.gateway.tls;

import dev.cofferdam.gateway.policy.Host;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.math.BigInteger;
import java.security.KeyPair;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.Date;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x500.X500NameBuilder;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.X509v3CertificateBuilder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;

/** A sandbox's issuing CA, with the key that nobody else has. */
record Issuer(X509Certificate certificate, PrivateKey key) {
  /** X.509's upper bound for a common name. */
  private static final int MAX_COMMON_NAME = 64;

  /** Guests' clocks are set at their start and may lag. */
  private static final long BACKDATE_SECONDS = 3600;

  private static final SecureRandom RANDOM = new SecureRandom();

  @SuppressWarnings("JavaUtilDate") // what java.security speaks
  Instant end() {
    return certificate.getNotAfter().toInstant();
  }

  /** PKCS #10, DER. */
  static byte[] request(KeyPair pair) {
    try {
      return new JcaPKCS10CertificationRequestBuilder(
              new X500Name("CN=Cofferdam issuer"), pair.getPublic())
          .build(new JcaContentSignerBuilder("SHA256withECDSA").build(pair.getPrivate()))
          .getEncoded();
    } catch (OperatorCreationException | IOException e) {
      throw new IllegalStateException("cannot write a certificate request", e);
    }
  }

  /** One name, valid as long as its issuer. */
  @SuppressWarnings("JavaUtilDate") // what java.security speaks
  X509Certificate leaf(Host.Name host, PublicKey subject, Instant now) {
    try {
      String name = host.value();
      boolean fits = name.length() <= MAX_COMMON_NAME;
      X500Name distinguished =
          fits
              ? new X500NameBuilder(BCStyle.INSTANCE).addRDN(BCStyle.CN, name).build()
              : new X500Name("");
      Date from =
          new Date(
              Math.max(
                  certificate.getNotBefore().getTime(),
                  now.minusSeconds(BACKDATE_SECONDS).toEpochMilli()));
      JcaX509ExtensionUtils extensions = new JcaX509ExtensionUtils();
      X509v3CertificateBuilder builder =
          new JcaX509v3CertificateBuilder(
                  new JcaX509CertificateHolder(certificate).getSubject(),
                  new BigInteger(127, RANDOM).setBit(0),
                  from,
                  certificate.getNotAfter(),
                  distinguished,
                  subject)
              .addExtension(
                  Extension.subjectAlternativeName,
                  !fits,
                  new GeneralNames(new GeneralName(GeneralName.dNSName, name)))
              .addExtension(Extension.keyUsage, true, new KeyUsage(KeyUsage.digitalSignature))
              .addExtension(
                  Extension.extendedKeyUsage,
                  false,
                  new ExtendedKeyUsage(KeyPurposeId.id_kp_serverAuth))
              .addExtension(
                  Extension.authorityKeyIdentifier,
                  false,
                  extensions.createAuthorityKeyIdentifier(certificate))
              .addExtension(
                  Extension.subjectKeyIdentifier,
                  false,
                  extensions.createSubjectKeyIdentifier(subject));
      byte[] der =
          builder.build(new JcaContentSignerBuilder("SHA256withECDSA").build(key)).getEncoded();
      return (X509Certificate)
          CertificateFactory.getInstance("X.509")
              .generateCertificate(new ByteArrayInputStream(der));
    } catch (java.security.NoSuchAlgorithmException
        | CertificateException
        | OperatorCreationException
        | IOException e) {
      throw new IllegalStateException("cannot sign a leaf for " + host, e);
    }
  }
}
