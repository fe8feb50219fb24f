package dev.cofferdam.node.guest;

import io.grpc.Channel;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

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
   * Makes the guest unique, and its file system as large as its disk has become.
   *
   * @throws GuestException when it refuses or does not answer in time
   */
  void configureGrown(GuestIdentity identity, Duration patience);

  /**
   * Lets a guest that was never configured do once all that a start and a first process ask of it,
   * so that a tenant's find everything warm. Nothing of it stays, and it is nobody's afterwards.
   *
   * @param identity that nobody has
   * @param command of a process that ends by itself, with 0; empty: none is run
   * @throws GuestException when it refuses, fails or does not answer in time
   */
  void rehearse(GuestIdentity identity, List<String> command, Duration patience);

  /**
   * Readies it for a snapshot; every connection to it is closed by the guest afterwards.
   *
   * @throws GuestException when it refuses or does not answer in time
   */
  void prepareSnapshot(List<String> warmUp, Duration patience);

  /**
   * Stops everything of the tenant and syncs its disks; every connection to it is closed by the
   * guest afterwards, and this link is at its end. Repeatable.
   *
   * @param token as it was configured with
   * @throws GuestException when it refuses or does not answer in time. It may have stopped all the
   *     same: {@link #thaw} undoes either
   */
  void freeze(String token, Duration patience);

  /**
   * Lets everything go on that {@link #freeze} stopped, reseeded and on time. One that was not
   * stopped is told the time. Repeatable.
   *
   * @param token as it was configured with when it was stopped
   * @param identity of a copy: who it is from now on, before anything in it runs
   * @throws GuestException when it refuses, and is still stopped, or does not answer in time
   */
  void thaw(String token, Freshness freshness, Optional<GuestIdentity> identity, Duration patience);

  /**
   * @throws GuestException when it refuses or does not answer in time
   */
  Activity activity(String token, Duration patience);

  /**
   * For relayed calls, connected now. One that ends with its connection says why: NODE_UNAVAILABLE
   * where the guest stopped answering or was let go of, SANDBOX_NOT_RUNNING after {@link #end}.
   *
   * @throws dev.cofferdam.kit.error.Refusal NODE_UNAVAILABLE when there is no connection in time
   */
  Channel connected(Duration patience);

  /**
   * Closes the link to a guest that runs no more.
   *
   * @param why for those whose calls end with it
   */
  void end(String why);

  /** Lets go of a guest that may run on. */
  @Override
  void close();
}
