package dev.cofferdam.broker.grant;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What a sandbox got: the only moment at which placeholders and ticket exist outside it in clear.
 *
 * @param placeholders by environment variable
 * @param ticket for its attachment
 * @param rootCertificate of its lineage, PEM
 */
public record Granted(
    Map<String, String> placeholders,
    String ticket,
    String rootCertificate,
    long policyRevision,
    long generation) {
  public Granted {
    placeholders = java.util.Collections.unmodifiableMap(new LinkedHashMap<>(placeholders));
  }

  @Override
  public String toString() {
    return "Granted[%s, revision %d, generation %d]"
        .formatted(placeholders.keySet(), policyRevision, generation);
  }
}
