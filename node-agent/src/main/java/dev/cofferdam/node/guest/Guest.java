package dev.cofferdam.node.guest;

import io.grpc.Channel;
import java.time.Duration;
import java.util.List;

/**
 * The agent inside one sandbox. Its calls wait for it to come up. Everything it says is the guest's
 * word.
 */
public interface Guest extends AutoCloseable {
  /**
   * Makes the guest unique. No process of a tenant runs in it before.
   *
   * @throws GuestException when it refuses or does not answer in time
   */
  void configure(GuestIdentity identity, Duration patience);

  /**
   * Readies it for a snapshot; every connection to it is closed by the guest afterwards.
   *
   * @throws GuestException when it refuses or does not answer in time
   */
  void prepareSnapshot(List<String> warmUp, Duration patience);

  /**
   * For relayed calls, connected now. One that ends because the guest stopped answering says
   * NODE_UNAVAILABLE.
   *
   * @throws dev.cofferdam.kit.error.Refusal NODE_UNAVAILABLE when there is no connection in time
   */
  Channel connected(Duration patience);

  @Override
  void close();
}
