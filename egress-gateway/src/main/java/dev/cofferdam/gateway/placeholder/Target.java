package dev.cofferdam.gateway.placeholder;

import java.util.Locale;
import java.util.Optional;

/** A part of a request. Its text is that of {@code SecretBinding.targets}. */
public sealed interface Target {
  /**
   * @param name lower case
   */
  record Header(String name) implements Target {
    public Header {
      name = name.toLowerCase(Locale.ROOT);
    }

    @Override
    public String toString() {
      return "header:" + name;
    }
  }

  /** Every header; only ever in a binding. */
  record AnyHeader() implements Target {
    @Override
    public String toString() {
      return "header:*";
    }
  }

  record BasicUsername() implements Target {
    @Override
    public String toString() {
      return "basic:username";
    }
  }

  record BasicPassword() implements Target {
    @Override
    public String toString() {
      return "basic:password";
    }
  }

  /** A part that no binding can name yet. */
  record Elsewhere(String part) implements Target {
    @Override
    public String toString() {
      return part;
    }
  }

  /** Empty for a target of a newer contract: nothing is ever put into it here. */
  static Optional<Target> parse(String text) {
    return switch (text) {
      case "header:*" -> Optional.of(new AnyHeader());
      case "basic:username" -> Optional.of(new BasicUsername());
      case "basic:password" -> Optional.of(new BasicPassword());
      default ->
          text.startsWith("header:") && text.length() > "header:".length()
              ? Optional.of(new Header(text.substring("header:".length())))
              : Optional.empty();
    };
  }

  /** Whether a binding that names this target lets a placeholder stand at {@code place}. */
  default boolean permits(Target place) {
    return equals(place) || (this instanceof AnyHeader && place instanceof Header);
  }
}
