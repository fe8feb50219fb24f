package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.http.Header;
import dev.cofferdam.gateway.placeholder.Use;
import dev.cofferdam.gateway.scrub.Scrubber;
import dev.cofferdam.gateway.scrub.SecretValue;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The values of one request, from the broker's answer to the end of the upstream's. */
final class Secrets implements AutoCloseable {
  private final List<SecretValue> values;
  private final Map<String, SecretValue> byPlaceholder = new HashMap<>();
  private final Scrubber scrubber;
  private final boolean weak;

  /**
   * @param values in the order of the uses; taken over
   */
  Secrets(List<Use> uses, List<SecretValue> values) {
    this.values = values;
    List<Scrubber.Secret> secrets = new ArrayList<>();
    for (int i = 0; i < uses.size(); i++) {
      Use use = uses.get(i);
      if (byPlaceholder.putIfAbsent(use.placeholder(), values.get(i)) == null) {
        secrets.add(new Scrubber.Secret(values.get(i), use.placeholder(), use.grant().weak()));
      }
    }
    this.scrubber = new Scrubber(secrets);
    this.weak = uses.stream().anyMatch(use -> use.grant().weak());
  }

  /** Whether an answer must not show any of them, not even as a gap. */
  boolean weak() {
    return weak;
  }

  Scrubber scrubber() {
    return scrubber;
  }

  /**
   * The values of those headers that hold a placeholder, by their place; for the writer to close.
   */
  Map<Integer, SecretValue> seal(List<Header> lines) {
    Map<Integer, SecretValue> sealed = new HashMap<>();
    for (int i = 0; i < lines.size(); i++) {
      if (Splicer.concerns(lines.get(i), byPlaceholder)) {
        sealed.put(i, Splicer.splice(lines.get(i), byPlaceholder));
      }
    }
    return sealed;
  }

  @Override
  public void close() {
    scrubber.close();
    values.forEach(SecretValue::close);
  }
}
