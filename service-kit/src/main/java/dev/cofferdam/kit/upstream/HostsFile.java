package dev.cofferdam.kit.upstream;

import com.google.common.net.InetAddresses;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * The operator's pins: a name that is listed here resolves to these addresses and no others.
 *
 * @param pins by name, lower case, without a trailing dot
 */
public record HostsFile(Map<String, List<InetAddress>> pins) {
  /** RFC 1123 labels, underscores allowed since service names carry them; no address. */
  private static final Pattern NAME =
      Pattern.compile(
          "(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\\.)*"
              + "(?![0-9]+$|0x[0-9a-f]*$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?");

  public HostsFile {
    pins = Map.copyOf(pins);
  }

  public static HostsFile empty() {
    return new HostsFile(Map.of());
  }

  /**
   * @throws UncheckedIOException when it cannot be read
   * @throws IllegalArgumentException naming the line
   */
  public static HostsFile read(Path file) {
    try {
      return parse(Files.readAllLines(file));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read hosts.file " + file, e);
    }
  }

  /**
   * Reads hosts(5).
   *
   * @throws IllegalArgumentException naming the line
   */
  public static HostsFile parse(List<String> lines) {
    Map<String, List<InetAddress>> pins = new HashMap<>();
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i).replaceFirst("#.*", "").strip();
      if (line.isEmpty()) {
        continue;
      }
      String[] fields = line.split("\\s+", -1);
      if (fields.length < 2 || !InetAddresses.isInetAddress(fields[0])) {
        throw new IllegalArgumentException(
            "line " + (i + 1) + " is '" + line + "', expected an address and names");
      }
      for (int f = 1; f < fields.length; f++) {
        String name = fields[f].toLowerCase(Locale.ROOT).replaceFirst("\\.$", "");
        if (!NAME.matcher(name).matches()) {
          throw new IllegalArgumentException(
              "line " + (i + 1) + ": '" + fields[f] + "' is not a DNS name");
        }
        pins.computeIfAbsent(name, _ -> new ArrayList<>()).add(InetAddresses.forString(fields[0]));
      }
    }
    pins.replaceAll((_, addresses) -> List.copyOf(addresses));
    return new HostsFile(pins);
  }

  /** Empty for a name that is not pinned. */
  public List<InetAddress> addresses(String name) {
    return pins.getOrDefault(name, List.of());
  }
}
