package dev.cofferdam.loadtest;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The ways to the upstream that are compared, each with a client process of its own. */
final class Contenders implements AutoCloseable {
  private final Map<String, ClientProcess> clients = new LinkedHashMap<>();
  private final Deque<AutoCloseable> open = new ArrayDeque<>();

  /**
   * @param prefix of the client's command, which puts it where it speaks from
   */
  void add(String name, List<String> prefix, List<String> options) throws IOException {
    ClientProcess client = ClientProcess.start(prefix, options);
    open.push(client);
    var _ = client.opened();
    clients.put(name, client);
  }

  /** Closed after the clients that were added since. */
  ProxyPeer own(ProxyPeer peer) {
    open.push(peer);
    return peer;
  }

  Set<Map.Entry<String, ClientProcess>> all() {
    return clients.entrySet();
  }

  @Override
  public void close() throws IOException {
    while (!open.isEmpty()) {
      switch (open.pop()) {
        case ClientProcess client -> client.close();
        case ProxyPeer peer -> peer.close();
        default -> throw new IllegalStateException("neither client nor peer");
      }
    }
  }
}
