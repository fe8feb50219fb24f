package dev.cofferdam.broker.policy;

/**
 * A placeholder found in a request that is about to leave.
 *
 * @param host the request's, canonical
 * @param target the part that holds it
 * @param occurrences how often it stands there, at least 1
 * @param tls whether the request leaves over TLS
 */
public record Use(String host, Target target, int occurrences, boolean tls) {
  public Use {
    if (occurrences < 1) {
      throw new IllegalArgumentException("occurrences is " + occurrences + ", expected at least 1");
    }
  }
}
