package dev.cofferdam.node.guest;

import com.google.protobuf.ByteString;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;

/**
 * What makes one clone different from all others.
 *
 * @param entropy at least 64 bytes from the host
 * @param timeNs Unix time in ns
 * @param machineId 32 hex digits
 * @param token at least 32 characters; whoever holds it drives the guest's agent
 * @param environment of every process, placeholders included
 * @param caCertificate PEM, or empty
 * @param volumes directories to mount the machine's volumes at, by their number
 */
public record GuestIdentity(
    ByteString entropy,
    long timeNs,
    String hostname,
    String machineId,
    String token,
    Map<String, String> environment,
    String caCertificate,
    List<String> volumes) {
  public GuestIdentity {
    if (entropy.size() < 64) {
      throw new IllegalArgumentException(
          "entropy is " + entropy.size() + " bytes, expected at least 64");
    }
    if (!machineId.matches("[0-9a-f]{32}")) {
      throw new IllegalArgumentException(
          "machine id is '" + machineId + "', expected 32 hex digits");
    }
    if (token.length() < 32) {
      throw new IllegalArgumentException(
          "token has " + token.length() + " characters, expected at least 32");
    }
    environment = Map.copyOf(environment);
    volumes = List.copyOf(volumes);
  }

  /** A new one, drawn from a generator that nobody can foresee. */
  public static GuestIdentity fresh(
      RandomGenerator random,
      Instant now,
      String hostname,
      Map<String, String> environment,
      String caCertificate) {
    return fresh(random, now, hostname, environment, caCertificate, List.of());
  }

  /** As above, with volumes. */
  public static GuestIdentity fresh(
      RandomGenerator random,
      Instant now,
      String hostname,
      Map<String, String> environment,
      String caCertificate,
      List<String> volumes) {
    return new GuestIdentity(
        ByteString.copyFrom(bytes(random, 128)),
        now.getEpochSecond() * 1_000_000_000L + now.getNano(),
        hostname,
        HexFormat.of().formatHex(bytes(random, 16)),
        HexFormat.of().formatHex(bytes(random, 32)),
        environment,
        caCertificate,
        volumes);
  }

  /** Nothing of it belongs in a log. */
  @Override
  public String toString() {
    return "GuestIdentity[" + hostname + "]";
  }

  private static byte[] bytes(RandomGenerator random, int count) {
    byte[] bytes = new byte[count];
    random.nextBytes(bytes);
    return bytes;
  }
}
