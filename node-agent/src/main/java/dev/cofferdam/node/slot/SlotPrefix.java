package dev.cofferdam.node.slot;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The IPv4 range of one node's slots: slot <i>n</i> has the <i>n</i>th address after the first.
 *
 * @param first the range's first address, as a number
 * @param bits of the prefix, 8 to 30
 */
public record SlotPrefix(int first, int bits) {
  private static final Pattern CIDR =
      Pattern.compile("(\\d{1,3})\\.(\\d{1,3})\\.(\\d{1,3})\\.(\\d{1,3})/(\\d{1,2})");

  public SlotPrefix {
    if (bits < 8 || bits > 30) {
      throw new IllegalArgumentException("prefix length is " + bits + ", expected 8 to 30");
    }
    if ((first & ((1 << (32 - bits)) - 1)) != 0) {
      throw new IllegalArgumentException(
          dotted(first) + "/" + bits + " is no range: bits are set after its prefix");
    }
  }

  public static SlotPrefix parse(String cidr) {
    Matcher matcher = CIDR.matcher(cidr);
    if (!matcher.matches()) {
      throw new IllegalArgumentException(
          "is '" + cidr + "', expected an IPv4 range as 100.80.0.0/16");
    }
    int address = 0;
    for (int group = 1; group <= 4; group++) {
      int octet = Integer.parseInt(matcher.group(group));
      if (octet > 255) {
        throw new IllegalArgumentException("is '" + cidr + "', expected octets up to 255");
      }
      address = address << 8 | octet;
    }
    return new SlotPrefix(address, Integer.parseInt(matcher.group(5)));
  }

  /** How many slots fit: neither the first nor the last address is one. */
  public int capacity() {
    return (1 << (32 - bits)) - 2;
  }

  /** The slot's address. */
  public String address(int slot) {
    if (slot < 1 || slot > capacity()) {
      throw new IllegalArgumentException(
          "slot is %d, expected 1 to %d in %s".formatted(slot, capacity(), this));
    }
    return dotted(first + slot);
  }

  @Override
  public String toString() {
    return dotted(first) + "/" + bits;
  }

  private static String dotted(int address) {
    return "%d.%d.%d.%d"
        .formatted(address >>> 24, address >>> 16 & 0xff, address >>> 8 & 0xff, address & 0xff);
  }
}
