package dev.cofferdam.gateway.policy;

import com.google.common.net.InetAddresses;
import dev.cofferdam.kit.upstream.AddressGate;
import dev.cofferdam.kit.upstream.Cidr;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Locale;
import java.util.Optional;

/**
 * A host as a policy sees it, in one spelling only: whatever notation a guest chose, two hosts that
 * a network would treat alike are equal here.
 */
public sealed interface Host {

  /** Lower case, ASCII, without a trailing dot. */
  record Name(String value) implements Host {
    public Name {
      if (!isName(value)) {
        throw new IllegalArgumentException("'" + value + "' is not a DNS name");
      }
    }

    @Override
    public String toString() {
      return value;
    }
  }

  /** An address; an IPv4 address in IPv6 clothing is the IPv4 address. */
  record Literal(InetAddress address) implements Host {
    @Override
    public String toString() {
      return address.getHostAddress();
    }
  }

  /**
   * Reads what stands in a Host header (without its port), an SNI or a DNS question.
   *
   * <p>IPv4 as inet_aton(3) reads it: one to four parts, each decimal, octal or hexadecimal. A text
   * whose last label is a number is an address or nothing, as in the WHATWG URL standard.
   *
   * @return empty for what is neither a name nor an address
   */
  static Optional<Host> parse(String text) {
    String host = text.toLowerCase(Locale.ROOT);
    if (host.startsWith("[") && host.endsWith("]")) {
      return ipv6(host.substring(1, host.length() - 1));
    }
    if (host.indexOf(':') >= 0) {
      return ipv6(host);
    }
    if (host.endsWith(".")) {
      host = host.substring(0, host.length() - 1);
    }
    if (endsInNumber(host)) {
      return ipv4(host);
    }
    return isName(host) ? Optional.of(new Name(host)) : Optional.empty();
  }

  private static Optional<Host> ipv6(String text) {
    // A zone would name an interface of ours.
    if (text.indexOf('%') >= 0 || text.indexOf(':') < 0 || !InetAddresses.isInetAddress(text)) {
      return Optional.empty();
    }
    return Optional.of(new Literal(AddressGate.canonical(InetAddresses.forString(text))));
  }

  private static boolean endsInNumber(String host) {
    String last = host.substring(host.lastIndexOf('.') + 1);
    return !last.isEmpty()
        && (digits(last, 0, 10) || (last.startsWith("0x") && digits(last, 2, 16)));
  }

  /** Whether there are none but digits, of which there may be none. */
  private static boolean digits(String text, int from, int radix) {
    for (int i = from; i < text.length(); i++) {
      char c = text.charAt(i);
      if (!((c >= '0' && c <= '9') || (radix == 16 && c >= 'a' && c <= 'f'))) {
        return false;
      }
    }
    return true;
  }

  private static Optional<Host> ipv4(String host) {
    String[] parts = host.split("\\.", -1);
    if (parts.length > 4) {
      return Optional.empty();
    }
    long address = 0;
    for (int i = 0; i < parts.length; i++) {
      Optional<Long> number = number(parts[i]);
      boolean last = i == parts.length - 1;
      long limit = last ? 1L << (8 * (5 - parts.length)) : 256;
      if (number.isEmpty() || number.get() >= limit) {
        return Optional.empty();
      }
      address =
          last
              ? (address << (8 * (5 - parts.length))) | number.get()
              : (address << 8) | number.get();
    }
    byte[] bytes = {
      (byte) (address >> 24), (byte) (address >> 16), (byte) (address >> 8), (byte) address
    };
    return Optional.of(new Literal(ofBytes(bytes)));
  }

  private static Optional<Long> number(String part) {
    try {
      if (part.startsWith("0x")) {
        return Optional.of(part.length() == 2 ? 0L : Long.parseUnsignedLong(part.substring(2), 16))
            .filter(n -> n >= 0);
      }
      return Optional.of(Long.parseLong(part, part.length() > 1 && part.startsWith("0") ? 8 : 10))
          .filter(n -> n >= 0);
    } catch (NumberFormatException e) {
      return Optional.empty();
    }
  }

  private static InetAddress ofBytes(byte[] bytes) {
    try {
      return InetAddress.getByAddress(bytes);
    } catch (UnknownHostException e) {
      throw new IllegalArgumentException("not the length of an address: " + bytes.length, e);
    }
  }

  /** RFC 1123 labels, underscores allowed since service names carry them. */
  private static boolean isName(String text) {
    if (text.isEmpty() || text.length() > 253) {
      return false;
    }
    // Without a stream or a pattern: this is asked of every request.
    int label = 0;
    for (int i = 0; i <= text.length(); i++) {
      char c = i == text.length() ? '.' : text.charAt(i);
      if (c == '.') {
        int length = i - label;
        if (length == 0 || length > 63 || text.charAt(label) == '-' || text.charAt(i - 1) == '-') {
          return false;
        }
        label = i + 1;
      } else if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')) {
        return false;
      }
    }
    return true;
  }

  /** Whether this is an IPv4 address of the range that DNS answers of the gateway come from. */
  static boolean isSynthetic(InetAddress address) {
    return address instanceof Inet4Address && SYNTHETIC.contains(address);
  }

  /** RFC 2544's benchmarking range: no host on the internet has such an address. */
  Cidr SYNTHETIC = Cidr.parse("198.18.0.0/15");
}
