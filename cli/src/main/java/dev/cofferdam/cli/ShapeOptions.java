package dev.cofferdam.cli;

import dev.cofferdam.v1.PlaceholderAlphabet;
import dev.cofferdam.v1.PlaceholderShape;
import java.util.Optional;
import picocli.CommandLine.Option;

/** What placeholders look like. */
final class ShapeOptions {
  /** What the option takes; lower case, as all others. */
  private enum Alphabet {
    alphanumeric,
    hex
  }

  @Option(
      names = "--placeholder-prefix",
      paramLabel = "TEXT",
      description =
          "What placeholders begin with, as sk- or ghp_, for clients that check the form of their"
              + " keys.")
  private String prefix = "";

  @Option(
      names = "--placeholder-length",
      paramLabel = "N",
      description =
          "Of all of one: at least that of the prefix and 35, or 42 in hexadecimal. Default: that.")
  private int length;

  @Option(
      names = "--placeholder-alphabet",
      description = "Of what follows the prefix: ${COMPLETION-CANDIDATES}. Default: alphanumeric.")
  private Alphabet alphabet = Alphabet.alphanumeric;

  /** Empty where the usual one will do. */
  Optional<PlaceholderShape> shape() {
    return prefix.isEmpty() && length == 0 && alphabet == Alphabet.alphanumeric
        ? Optional.empty()
        : Optional.of(
            PlaceholderShape.newBuilder()
                .setPrefix(prefix)
                .setLength(length)
                .setAlphabet(
                    alphabet == Alphabet.hex
                        ? PlaceholderAlphabet.PLACEHOLDER_ALPHABET_HEX
                        : PlaceholderAlphabet.PLACEHOLDER_ALPHABET_ALPHANUMERIC)
                .build());
  }
}
