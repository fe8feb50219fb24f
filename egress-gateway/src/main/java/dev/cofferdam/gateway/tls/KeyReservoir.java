package dev.cofferdam.gateway.tls;

import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.spec.ECGenParameterSpec;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;

/** P-256 keys made ahead, since making one takes longer than a request should. */
public final class KeyReservoir implements AutoCloseable {
  private static final int AHEAD = 16;

  private final BlockingQueue<KeyPair> ready = new ArrayBlockingQueue<>(AHEAD);
  private final Thread maker;

  public KeyReservoir() {
    this.maker =
        Thread.ofPlatform()
            .daemon()
            .name("keys")
            .start(() -> {
              try {
                while (!Thread.currentThread().isInterrupted()) {
                  ready.put(generate());
                }
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
  }

  /** Never blocks for long: makes a key itself when none is ready. */
  KeyPair take() {
    KeyPair made = ready.poll();
    return made == null ? generate() : made;
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
    maker.interrupt();
  }
}
