package dev.cofferdam.node.guest;

import com.google.protobuf.ByteString;
import java.time.Instant;
import java.util.random.RandomGenerator;

/**
 * What a guest that stood still needs before anything in it runs again: random numbers that no copy
 * of it draws, and the time.
 *
 * @param entropy at least 64 bytes from the host
 * @param timeNs Unix time in ns
 */
public record Freshness(ByteString entropy, long timeNs) {
  private static final int BYTES = 128;

  /** From a generator that nobody can foresee. */
  public static Freshness of(RandomGenerator random, Instant now) {
    byte[] bytes = new byte[BYTES];
    random.nextBytes(bytes);
    return new Freshness(
        ByteString.copyFrom(bytes), now.getEpochSecond() * 1_000_000_000L + now.getNano());
  }

  /** Nothing of it belongs in a log. */
  @Override
  public String toString() {
    return "Freshness[]";
  }
}
