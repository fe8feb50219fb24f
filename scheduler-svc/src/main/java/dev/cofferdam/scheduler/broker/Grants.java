package dev.cofferdam.scheduler.broker;

import java.util.Map;

/**
 * What the broker gave for a new sandbox. It goes to the node and is forgotten.
 *
 * @param placeholders variable to placeholder
 * @param attachTicket opaque, single use, 60 s
 * @param caCertificate PEM
 * @param generation of the placeholders
 */
public record Grants(
    Map<String, String> placeholders,
    String attachTicket,
    String caCertificate,
    long policyRevision,
    long generation) {
  public Grants {
    placeholders = Map.copyOf(placeholders);
  }

  /** Without what is in it. */
  @Override
  public String toString() {
    return "Grants[" + placeholders.size() + " placeholders, revision " + policyRevision + "]";
  }
}
