package dev.cofferdam.scheduler.tenant;

import dev.cofferdam.kit.call.ExposedHost;
import dev.cofferdam.kit.call.RandomLetters;
import java.time.Instant;
import java.util.Optional;
import java.util.random.RandomGenerator;
import java.util.regex.Pattern;

/**
 * A key for one port of one sandbox, without the key.
 *
 * @param id {@code pk-} and 20 characters of {@code [a-z2-7]}; not secret
 * @param port 1 to 65535, not the guest agent's own
 * @param everybodys whether it is for everybody, and so no secret
 * @param expireTime empty: it ends with the sandbox
 * @param host of one for everybody alone
 */
public record PortKeyRecord(
    String id,
    String tenant,
    String sandbox,
    int port,
    boolean everybodys,
    Instant createTime,
    Optional<Instant> expireTime,
    Optional<ExposedHost> host) {
  private static final Pattern ID = Pattern.compile("pk-[a-z2-7]{20}");
  private static final int ID_LENGTH = 20;
  private static final int MAX_PORT = 65535;

  /** The guest's agent listens there. */
  private static final int AGENTS_PORT = 1024;

  public PortKeyRecord {
    if (!ID.matcher(id).matches()) {
      throw new IllegalArgumentException("id is '" + id + "', expected " + ID);
    }
    if (port < 1 || port > MAX_PORT || port == AGENTS_PORT) {
      throw new IllegalArgumentException(
          "port is %d, expected 1 to %d, not %d".formatted(port, MAX_PORT, AGENTS_PORT));
    }
    if (everybodys && expireTime.isPresent()) {
      throw new IllegalArgumentException("lifetime is set, expected none of a public key");
    }
    if (host.isPresent() && !everybodys) {
      throw new IllegalArgumentException("host is set, expected none of a key that is not public");
    }
    if (host.isPresent() && !host.get().sandbox().equals(sandbox)) {
      throw new IllegalArgumentException(
          "host is '%s', expected one that ends with the characters of the sandbox's id"
              .formatted(host.get().label()));
    }
  }

  public static String newId(RandomGenerator random) {
    return "pk-" + RandomLetters.next(ID_LENGTH, random);
  }

  public static boolean isId(String text) {
    return ID.matcher(text).matches();
  }
}
