package dev.cofferdam.edge.head;

import dev.cofferdam.edge.secret.HeldValue;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Configurations that were taken out of their heads, by the ticket that stands there instead. Who
 * takes one closes it; what nobody took is closed with its connection. Safe for use by several
 * threads.
 */
public final class CarriedHeads {
  private static final int TICKET_BYTES = 24;

  private final Map<String, HeldValue> held = new ConcurrentHashMap<>();
  private final SecureRandom random;

  public CarriedHeads(SecureRandom random) {
    this.random = random;
  }

  /** Only the answer finds it again. */
  String keep(HeldValue config) {
    byte[] ticket = new byte[TICKET_BYTES];
    random.nextBytes(ticket);
    String text = HexFormat.of().formatHex(ticket);
    held.put(text, config);
    return text;
  }

  /** Each is given out once. */
  public Optional<HeldValue> take(String ticket) {
    return Optional.ofNullable(held.remove(ticket));
  }

  void drop(String ticket) {
    take(ticket).ifPresent(HeldValue::close);
  }

  public int size() {
    return held.size();
  }
}
