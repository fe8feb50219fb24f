package dev.cofferdam.kit.upstream;

import java.net.InetAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Whether an address is one of this host: a guest must not reach the mesh by going around through
 * the host's public address. Looked up again every few seconds.
 */
public final class OwnAddresses implements Predicate<InetAddress> {
  private static final long KEEP_NANOS = TimeUnit.SECONDS.toNanos(10);

  private record Known(Set<InetAddress> addresses, long since) {}

  private final LongSupplier nanoTime;
  private volatile Known known;

  public OwnAddresses(LongSupplier nanoTime) {
    this.nanoTime = nanoTime;
    this.known = look();
  }

  @Override
  public boolean test(InetAddress address) {
    Known current = known;
    if (nanoTime.getAsLong() - current.since() > KEEP_NANOS) {
      current = look();
      known = current;
    }
    return current.addresses().contains(address);
  }

  private Known look() {
    try {
      return new Known(
          NetworkInterface.networkInterfaces()
              .flatMap(NetworkInterface::inetAddresses)
              .collect(Collectors.toUnmodifiableSet()),
          nanoTime.getAsLong());
    } catch (SocketException e) {
      throw new IllegalStateException("cannot list this host's addresses", e);
    }
  }
}
