package dev.cofferdam.kit.call;

import java.util.Optional;
import java.util.random.RandomGenerator;
import java.util.regex.Pattern;

/**
 * A host name that stands for one port of one sandbox, in front of whatever domain it is asked for
 * at. It ends with what is the sandbox's own: an id is never given again, so nobody gets the name
 * of a sandbox that has ended.
 *
 * @param label of DNS (RFC 1035 section 2.3.1, RFC 1123 section 2.1): 12 characters of {@code
 *     [a-z2-7]}, a hyphen, and the 20 of the sandbox's id
 */
public record ExposedHost(String label) {
  private static final int OWN = 12;
  private static final String SANDBOX = "sb-";
  private static final Pattern LABEL = Pattern.compile("[a-z2-7]{" + OWN + "}-[a-z2-7]{20}");

  public ExposedHost {
    if (!LABEL.matcher(label).matches()) {
      throw new IllegalArgumentException("host is '" + label + "', expected " + LABEL);
    }
  }

  /** Empty for a label that can be none. */
  public static Optional<ExposedHost> of(String label) {
    return LABEL.matcher(label).matches() ? Optional.of(new ExposedHost(label)) : Optional.empty();
  }

  /** One that nobody can guess. */
  public static ExposedHost random(String sandbox, RandomGenerator random) {
    return new ExposedHost(
        RandomLetters.next(OWN, random) + "-" + sandbox.substring(SANDBOX.length()));
  }

  /** Whose port it can be. */
  public String sandbox() {
    return SANDBOX + label.substring(OWN + 1);
  }

  /** The key that opens the port: it is no secret. */
  public String key() {
    return PortKeys.PREFIX + "host-" + label;
  }
}
