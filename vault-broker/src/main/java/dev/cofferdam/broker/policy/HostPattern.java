package dev.cofferdam.broker.policy;

import com.google.common.net.InternetDomainName;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * A DNS name, or a wildcard over one or more whole labels to its left: {@code *.example.com}
 * matches {@code a.example.com} and {@code a.b.example.com}, never {@code example.com}.
 *
 * <p>Only the one canonical form is taken: lower case, punycode for other scripts (RFC 5891), no
 * trailing dot, letters, digits and hyphens (RFC 1123, section 2.1). What is not canonical is
 * refused rather than converted, so that an owner reads back what they wrote.
 *
 * @param name without {@code *.}
 * @param wildcard whether the labels to its left are free
 */
public record HostPattern(String name, boolean wildcard) {
  private static final int MAX_NAME = 253;
  private static final Pattern LABEL = Pattern.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");
  // What the URL standard takes for an IPv4 address: the last label a number, 0x-hexadecimal too.
  private static final Pattern NUMBER = Pattern.compile("[0-9]+|0x[0-9a-f]*");

  public HostPattern {
    problem(name, wildcard)
        .ifPresent(problem -> {
          throw new Refusal(
              ErrorReason.ERROR_REASON_HOST_PATTERN_INVALID,
              "the host pattern '%s' %s".formatted(shown((wildcard ? "*." : "") + name), problem));
        });
  }

  /** The pattern as written in a policy or a binding. */
  public static HostPattern parse(String text) {
    return text.startsWith("*.")
        ? new HostPattern(text.substring(2), true)
        : new HostPattern(text, false);
  }

  /** Whether it is met by a host, given in canonical form. */
  public boolean matches(String host) {
    return wildcard ? host.endsWith("." + name) && isName(host) : host.equals(name);
  }

  /** Whether every host that meets the other meets this one. */
  public boolean contains(HostPattern other) {
    if (!wildcard) {
      return equals(other);
    }
    return other.name.endsWith("." + name) || (other.wildcard && other.name.equals(name));
  }

  /** Whether some host meets both. */
  public boolean overlaps(HostPattern other) {
    // The sets of two patterns are nested or apart, for both are anchored at the right.
    return contains(other) || other.contains(this);
  }

  @Override
  public String toString() {
    return wildcard ? "*." + name : name;
  }

  private static Optional<String> problem(String name, boolean wildcard) {
    if (name.isEmpty()) {
      return Optional.of("is empty, expected a DNS name");
    }
    if (name.chars().anyMatch(c -> c > 0x7e)) {
      return Optional.of("has a character outside ASCII, expected punycode (xn--…)");
    }
    if (name.chars().anyMatch(c -> c >= 'A' && c <= 'Z')) {
      return Optional.of("has capitals, expected lower case");
    }
    if (name.endsWith(".")) {
      return Optional.of("ends in a dot, expected none");
    }
    if (name.length() > MAX_NAME) {
      return Optional.of("is too long, expected at most " + MAX_NAME + " characters");
    }
    if (name.contains("*")) {
      return Optional.of("has a * elsewhere than in a leading '*.'");
    }
    String[] labels = name.split("\\.", -1);
    for (String label : labels) {
      if (!LABEL.matcher(label).matches()) {
        return Optional.of(
            "has the label '%s', expected 1 to 63 letters, digits and inner hyphens"
                .formatted(shown(label)));
      }
    }
    if (NUMBER.matcher(labels[labels.length - 1]).matches()) {
      return Optional.of("is an address, expected a DNS name");
    }
    // No top-level name begins with a digit (RFC 1123, section 2.1), so the list cannot be asked.
    if (wildcard && !InternetDomainName.isValid(name)) {
      return Optional.of("is a wildcard under a top-level name that there cannot be");
    }
    if (wildcard && isPublicSuffix(name, labels.length)) {
      return Optional.of("is a wildcard on a public suffix: it would match other people's hosts");
    }
    return Optional.empty();
  }

  private static boolean isPublicSuffix(String name, int labels) {
    // The list's last rule is "*": a top-level name that it does not know is a suffix as well.
    return labels == 1
        || InternetDomainName.from(name).isPublicSuffix()
        // Suffixes that the list itself gives as a wildcard, like *.ck: then every child is one.
        || isSuffix("x." + name);
  }

  private static boolean isSuffix(String name) {
    return InternetDomainName.isValid(name) && InternetDomainName.from(name).isPublicSuffix();
  }

  private static boolean isName(String host) {
    for (String label : host.split("\\.", -1)) {
      if (!LABEL.matcher(label).matches()) {
        return false;
      }
    }
    return true;
  }

  private static String shown(String text) {
    String printable = text.replaceAll("[^\\x20-\\x7e]", "?");
    return printable.length() <= 80 ? printable : printable.substring(0, 80) + "…";
  }
}
