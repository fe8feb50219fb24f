package dev.cofferdam.broker.policy;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An IPv4 range, {@code 203.0.113.0/24}.
 *
 * @param network the address as an unsigned number, host bits zero
 * @param bits 0 to 32
 */
public record Cidr(int network, int bits) {
  // No leading zero: some readers take it for octal.
  private static final String OCTET = "(0|[1-9][0-9]{0,2})";
  private static final Pattern ADDRESS =
      Pattern.compile(OCTET + "\\." + OCTET + "\\." + OCTET + "\\." + OCTET);

  public Cidr {
    if (bits < 0 || bits > 32) {
      throw new IllegalArgumentException("prefix length is " + bits + ", expected 0 to 32");
    }
    if ((network & ~mask(bits)) != 0) {
      throw new IllegalArgumentException(
          "%s/%d has host bits, expected %s/%d"
              .formatted(format(network), bits, format(network & mask(bits)), bits));
    }
  }

  /**
   * @throws IllegalArgumentException for anything but four decimal octets, a slash and a length
   */
  public static Cidr parse(String text) {
    int slash = text.indexOf('/');
    Optional<Integer> address = slash < 0 ? Optional.empty() : address(text.substring(0, slash));
    if (address.isEmpty() || !text.substring(slash + 1).matches("[0-9]|[12][0-9]|3[0-2]")) {
      throw new IllegalArgumentException(
          "the range is '%s', expected like 203.0.113.0/24"
              .formatted(text.replaceAll("[^\\x20-\\x7e]", "?")));
    }
    return new Cidr(address.get(), Integer.parseInt(text.substring(slash + 1)));
  }

  /** An address in its canonical form; empty for any other text. */
  public static Optional<Integer> address(String text) {
    Matcher matcher = ADDRESS.matcher(text);
    if (!matcher.matches()) {
      return Optional.empty();
    }
    int address = 0;
    for (int group = 1; group <= 4; group++) {
      int octet = Integer.parseInt(matcher.group(group));
      if (octet > 255) {
        return Optional.empty();
      }
      address = address << 8 | octet;
    }
    return Optional.of(address);
  }

  public boolean contains(int address) {
    return (address & mask(bits)) == network;
  }

  @Override
  public String toString() {
    return format(network) + "/" + bits;
  }

  private static int mask(int bits) {
    return bits == 0 ? 0 : -1 << (32 - bits);
  }

  private static String format(int address) {
    return "%d.%d.%d.%d"
        .formatted(address >>> 24, address >>> 16 & 0xff, address >>> 8 & 0xff, address & 0xff);
  }
}
