package dev.cofferdam.gateway.slot;

import dev.cofferdam.gateway.policy.Host;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.random.RandomGenerator;

/**
 * The addresses that DNS gave to names, of one lineage: a restored copy of a guest may still hold
 * an answer of its ancestor. Only ever added to. Safe for use by several threads.
 *
 * <p>Where in the range it begins is random: what a guest still holds from before these names were
 * begun anew, by another process or after the lineage's last slot went, is then most likely no
 * name's address rather than another name's.
 */
public final class SyntheticNames {
  /** 198.18.1.0: what is below belongs to the gateway itself. */
  private static final int FIRST = 198 << 24 | 18 << 16 | 1 << 8;

  /** 198.19.255.255. */
  private static final int LAST = 198 << 24 | 19 << 16 | 255 << 8 | 255;

  private static final int RANGE = LAST - FIRST + 1;

  private final Map<Host.Name, InetAddress> byName = new HashMap<>();
  private final Map<InetAddress, Host.Name> byAddress = new HashMap<>();
  private final int start;
  private final int most;

  SyntheticNames(RandomGenerator random) {
    this(random, RANGE);
  }

  SyntheticNames(RandomGenerator random, int most) {
    this.start = random.nextInt(RANGE);
    this.most = most;
  }

  /** Empty when the range is used up. */
  public Optional<InetAddress> addressOf(Host.Name name) {
    return addressOf(name, most);
  }

  /**
   * @param within there is no new address where so many names have one
   */
  public synchronized Optional<InetAddress> addressOf(Host.Name name, int within) {
    InetAddress known = byName.get(name);
    if (known != null) {
      return Optional.of(known);
    }
    if (byName.size() >= Math.min(most, within)) {
      return Optional.empty();
    }
    InetAddress address = address(FIRST + (start + byName.size()) % RANGE);
    byName.put(name, address);
    byAddress.put(address, name);
    return Optional.of(address);
  }

  public synchronized Optional<Host.Name> nameOf(InetAddress address) {
    return Optional.ofNullable(byAddress.get(address));
  }

  private static InetAddress address(int bits) {
    try {
      return InetAddress.getByAddress(
          new byte[] {(byte) (bits >> 24), (byte) (bits >> 16), (byte) (bits >> 8), (byte) bits});
    } catch (UnknownHostException e) {
      throw new IllegalStateException("four bytes are an address", e);
    }
  }
}
