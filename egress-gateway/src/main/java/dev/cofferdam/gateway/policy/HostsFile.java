package dev.cofferdam.gateway.policy;

import com.google.common.net.InetAddresses;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The operator's pins: a name that is listed here resolves to these addresses and no others. */
public record HostsFile(Map<Host.Name, List<InetAddress>> pins) {
  public HostsFile {
    pins = Map.copyOf(pins);
  }

  public static HostsFile empty() {
    return new HostsFile(Map.of());
  }

  /**
   * Reads hosts(5).
   *
   * @throws IllegalArgumentException naming the line
   */
  public static HostsFile parse(List<String> lines) {
    Map<Host.Name, List<InetAddress>> pins = new HashMap<>();
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
        if (!(Host.parse(fields[f]).orElse(null) instanceof Host.Name name)) {
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
  public List<InetAddress> addresses(Host.Name name) {
    return pins.getOrDefault(name, List.of());
  }

  boolean pins(Host.Name name, InetAddress address) {
    return addresses(name).contains(address);
  }
}
