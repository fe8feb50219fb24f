package dev.cofferdam.testkit;

import java.io.IOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Ports for what has to be told its port before it listens there. None is one that the kernel gives
 * to a connection or a listener of somebody else's meanwhile.
 */
public final class FreePorts {
  private static final int TRIES = 20;
  private static final int FIRST = 20_000;

  /** Of Linux, unless its net.ipv4.ip_local_port_range says something else. */
  private static final int FIRST_EPHEMERAL = 32_768;

  private FreePorts() {}

  /** Free for TCP at 127.0.0.1. */
  public static int next() throws IOException {
    return next("127.0.0.1");
  }

  /**
   * @param addresses at each of which it is free for TCP
   */
  public static int next(String... addresses) throws IOException {
    for (int attempt = 1; ; attempt++) {
      int port = ThreadLocalRandom.current().nextInt(FIRST, FIRST_EPHEMERAL);
      try {
        requireFree(port, addresses);
        return port;
      } catch (BindException e) {
        if (attempt == TRIES) {
          throw e;
        }
      }
    }
  }

  private static void requireFree(int port, String... addresses) throws IOException {
    List<ServerSocket> listening = new ArrayList<>();
    try {
      for (String address : addresses) {
        listening.add(new ServerSocket(port, 1, InetAddress.getByName(address)));
      }
    } finally {
      for (ServerSocket each : listening) {
        each.close();
      }
    }
  }
}
