package dev.cofferdam.broker.vault;

import java.net.URI;
import java.nio.file.Path;
import java.util.Optional;

/**
 * How Vault is reached.
 *
 * @param address {@code https://host:port}; plain {@code http} only to a loopback address
 * @param tokenFile read at the start and again when Vault refuses the token: an agent may renew it
 * @param mount of the KV version 2 engine
 * @param authority PEM of the CA of Vault's certificate; empty: the JDK's own
 */
public record VaultSettings(
    String address, Path tokenFile, String mount, Optional<Path> authority) {
  public VaultSettings {
    URI uri = URI.create(address);
    String host = uri.getHost() == null ? "" : uri.getHost();
    boolean loopback = host.equals("localhost") || host.startsWith("127.") || host.equals("[::1]");
    boolean usable =
        "https".equals(uri.getScheme()) || ("http".equals(uri.getScheme()) && loopback);
    if (!usable || host.isEmpty()) {
      throw new IllegalArgumentException(
          "the address of Vault is '"
              + address
              + "', expected https://host:port, or http:// on loopback");
    }
    if (!mount.matches("[A-Za-z0-9_-]{1,64}")) {
      throw new IllegalArgumentException(
          "the mount is '" + mount + "', expected one segment of letters, digits, _ and -");
    }
  }
}
