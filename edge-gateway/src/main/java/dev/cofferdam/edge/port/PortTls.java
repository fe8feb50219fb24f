package dev.cofferdam.edge.port;

import io.netty.handler.codec.http2.Http2SecurityUtil;
import io.netty.handler.ssl.ApplicationProtocolConfig;
import io.netty.handler.ssl.ApplicationProtocolNames;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import io.netty.handler.ssl.SupportedCipherSuiteFilter;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import javax.net.ssl.SSLException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The listener's certificate, from files that are read again when they change. Connections that are
 * open keep what they began with; files that cannot be used leave the last good ones in force. Safe
 * for use by several threads.
 */
final class PortTls {
  private static final Logger log = LoggerFactory.getLogger(PortTls.class);

  private final PortSettings.TlsFiles files;
  private byte[] certificateInForce = {};
  private byte[] keyInForce = {};
  private volatile SslContext current;

  /**
   * @throws IllegalStateException naming the files, where they cannot be used
   */
  PortTls(PortSettings.TlsFiles files) {
    this.files = files;
    try {
      current = read();
    } catch (IOException | IllegalArgumentException e) {
      throw new IllegalStateException(
          "cannot serve ports' URLs with %s and %s: %s"
              .formatted(files.certificate(), files.key(), e.getMessage()),
          e);
    }
  }

  SslContext current() {
    return current;
  }

  /** Takes up what has changed. */
  synchronized void reload() {
    try {
      if (!Arrays.equals(certificateInForce, Files.readAllBytes(files.certificate()))
          || !Arrays.equals(keyInForce, Files.readAllBytes(files.key()))) {
        current = read();
        log.atInfo().setMessage("ports_certificate_reloaded").log();
      }
    } catch (IOException | RuntimeException e) {
      // Of two files that are replaced one after the other, the second may not be there yet.
      log.atWarn()
          .setMessage("ports_certificate_not_reloaded")
          .addKeyValue("certificate", files.certificate())
          .addKeyValue("cause", e.toString())
          .log();
    }
  }

  private synchronized SslContext read() throws IOException {
    byte[] chain = Files.readAllBytes(files.certificate());
    byte[] secret = Files.readAllBytes(files.key());
    SslContext context = context(chain, secret);
    certificateInForce = chain;
    keyInForce = secret;
    return context;
  }

  private static SslContext context(byte[] chain, byte[] secret) throws SSLException {
    return SslContextBuilder.forServer(
            new ByteArrayInputStream(chain), new ByteArrayInputStream(secret))
        .sslProvider(SslProvider.OPENSSL)
        .protocols("TLSv1.3", "TLSv1.2")
        .ciphers(Http2SecurityUtil.CIPHERS, SupportedCipherSuiteFilter.INSTANCE)
        .applicationProtocolConfig(
            new ApplicationProtocolConfig(
                ApplicationProtocolConfig.Protocol.ALPN,
                ApplicationProtocolConfig.SelectorFailureBehavior.NO_ADVERTISE,
                ApplicationProtocolConfig.SelectedListenerFailureBehavior.ACCEPT,
                ApplicationProtocolNames.HTTP_2,
                ApplicationProtocolNames.HTTP_1_1))
        .build();
  }
}
