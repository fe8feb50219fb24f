package dev.cofferdam.kit.identity;

import dev.cofferdam.kit.config.Settings;
import java.nio.file.Path;

/**
 * Where a process finds its identity. All PEM; the key is PKCS #8.
 *
 * @param certificate the chain, leaf first
 * @param key the leaf's private key
 * @param authority the mesh's CA, the only one trusted
 * @param trustDomain of every peer's URI
 */
public record TlsFiles(Path certificate, Path key, Path authority, String trustDomain) {
  /**
   * Keys {@code tls.certificate}, {@code tls.key}, {@code tls.authority}, {@code tls.trust-domain}.
   */
  public static TlsFiles read(Settings settings) {
    return new TlsFiles(
        settings.requiredPath("tls.certificate"),
        settings.requiredPath("tls.key"),
        settings.requiredPath("tls.authority"),
        settings.text("tls.trust-domain", "cofferdam.local"));
  }
}
