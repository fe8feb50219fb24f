package dev.cofferdam.scheduler.cluster;

import java.time.Instant;
import java.util.Optional;

/** Whether a node is there. */
sealed interface Presence {
  /**
   * Known from before this process started, not heard of since. It may well be up, so streams to it
   * are tried.
   */
  record Unseen() implements Presence {}

  /**
   * Its stream is open.
   *
   * @param last its last heartbeat
   */
  record Connected(NodeConnection connection, Instant lastHeard, Optional<Heartbeat> last)
      implements Presence {}

  /** Its stream ended while this process watched. */
  record Gone() implements Presence {}

  /** As a heartbeat counts. */
  record Free(long slots, long memoryMib) {
    static final Free NOTHING = new Free(0, 0);

    Free plus(Free more) {
      return new Free(slots + more.slots, memoryMib + more.memoryMib);
    }

    Free minus(Free less) {
      return new Free(slots - less.slots, memoryMib - less.memoryMib);
    }
  }
}
