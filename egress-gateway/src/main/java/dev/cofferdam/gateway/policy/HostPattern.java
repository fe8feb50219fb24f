package dev.cofferdam.gateway.policy;

import com.google.common.net.InternetDomainName;

/**
 * A name, or a wildcard over whole labels to its left.
 *
 * @param name without the {@code *.}
 * @param wildcard matches what is below the name, never the name itself
 */
public record HostPattern(Host.Name name, boolean wildcard) {
  public HostPattern {
    if (wildcard && isPublicSuffix(name.value())) {
      throw new IllegalArgumentException(
          "'*." + name + "' covers a public suffix, expected a registered domain below it");
    }
  }

  /**
   * @throws IllegalArgumentException naming the text and what was expected
   */
  public static HostPattern parse(String text) {
    boolean wildcard = text.startsWith("*.");
    String name = wildcard ? text.substring(2) : text;
    if (Host.parse(name).orElse(null) instanceof Host.Name parsed && parsed.value().equals(name)) {
      return new HostPattern(parsed, wildcard);
    }
    throw new IllegalArgumentException(
        "'" + text + "', expected a lower-case DNS name or '*.' and one");
  }

  public boolean matches(Host.Name host) {
    return wildcard ? host.value().endsWith("." + name.value()) : host.value().equals(name.value());
  }

  private static boolean isPublicSuffix(String name) {
    return name.indexOf('.') < 0
        || (InternetDomainName.isValid(name) && InternetDomainName.from(name).isPublicSuffix());
  }

  @Override
  public String toString() {
    return wildcard ? "*." + name : name.value();
  }
}
