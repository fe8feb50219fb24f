package dev.cofferdam.kit.upstream;

import com.google.common.net.InetAddresses;
import java.net.InetAddress;

/** A range of addresses of one family. */
public record Cidr(InetAddress network, int prefix) {
  public Cidr {
    int bits = network.getAddress().length * 8;
    if (prefix < 0 || prefix > bits) {
      throw new IllegalArgumentException("prefix " + prefix + ", expected 0 to " + bits);
    }
    if (!matches(network.getAddress(), network.getAddress(), prefix)
        || hostBitsSet(network.getAddress(), prefix)) {
      throw new IllegalArgumentException(
          network.getHostAddress() + "/" + prefix + " has bits set behind its prefix");
    }
  }

  /**
   * @throws IllegalArgumentException for what is not {@code address/prefix}
   */
  public static Cidr parse(String text) {
    int slash = text.indexOf('/');
    if (slash < 0 || !text.substring(slash + 1).matches("[0-9]{1,3}")) {
      throw new IllegalArgumentException("'" + text + "', expected address/prefix");
    }
    return new Cidr(
        InetAddresses.forString(text.substring(0, slash)),
        Integer.parseInt(text.substring(slash + 1)));
  }

  public boolean contains(InetAddress address) {
    return matches(network.getAddress(), address.getAddress(), prefix);
  }

  private static boolean matches(byte[] network, byte[] address, int prefix) {
    if (network.length != address.length) {
      return false;
    }
    for (int bit = 0; bit < prefix; bit += 8) {
      int mask = prefix - bit >= 8 ? 0xff : 0xff << (8 - (prefix - bit));
      if (((network[bit / 8] ^ address[bit / 8]) & mask & 0xff) != 0) {
        return false;
      }
    }
    return true;
  }

  private static boolean hostBitsSet(byte[] network, int prefix) {
    for (int bit = prefix; bit < network.length * 8; bit++) {
      if ((network[bit / 8] & (0x80 >> (bit % 8))) != 0) {
        return true;
      }
    }
    return false;
  }

  @Override
  public String toString() {
    return network.getHostAddress() + "/" + prefix;
  }
}
