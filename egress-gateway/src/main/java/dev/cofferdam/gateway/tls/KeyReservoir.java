package dev.cofferdam.gateway.tls;

import dev.cofferdam.kit.reserve.Reservoir;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.spec.ECGenParameterSpec;

/** P-256 keys made ahead, since making one takes longer than a request should. */
public final class KeyReservoir implements AutoCloseable {
  private static final int AHEAD = 16;

  private final Reservoir<KeyPair> pairs =
      new Reservoir<>("keys", AHEAD, KeyReservoir::generate, _ -> {});

  /** Never blocks for long: makes a key itself when none is ready. */
  KeyPair take() {
    return pairs.take();
  }

  private static KeyPair generate() {
    try {
      KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
      generator.initialize(new ECGenParameterSpec("secp256r1"));
      return generator.generateKeyPair();
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("every JDK has P-256", e);
    }
  }

  @Override
  public void close() {
    pairs.close();
  }
}
