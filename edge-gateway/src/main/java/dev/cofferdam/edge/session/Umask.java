package dev.cofferdam.edge.session;

import dev.cofferdam.edge.protocol.SdkError;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The mask of what a session makes by the file API. The guest's agent sets modes whatever its own
 * is, so that the mask is taken off here. It ends with the session. Safe for use by several
 * threads.
 */
public final class Umask {
  private static final int DEFAULT = 022;
  private static final int MASK = 0777;
  private static final int PERMISSIONS = 07777;
  private static final int FILE = 0666;
  private static final int DIRECTORY = 0777;

  private final AtomicInteger mask = new AtomicInteger(DEFAULT);

  /** Answers the one before, as umask(2) does. */
  public int set(long bits) {
    return mask.getAndSet((int) (bits & MASK));
  }

  public int get() {
    return mask.get();
  }

  /** Of a file that is made, as open(2) would have it. */
  public int file(Optional<Long> asked) throws SdkError {
    return masked(asked, FILE);
  }

  /** Likewise of a directory, mkdir(2). */
  public int directory(Optional<Long> asked) throws SdkError {
    return masked(asked, DIRECTORY);
  }

  private int masked(Optional<Long> asked, int unnamed) throws SdkError {
    return named((int) (asked.orElse((long) unnamed) & PERMISSIONS) & ~mask.get());
  }

  /**
   * For the public API, where no bits mean a mode of its choice, which is wider.
   *
   * @throws SdkError of no bits
   */
  public static int named(long bits) throws SdkError {
    int mode = (int) (bits & PERMISSIONS);
    if (mode == 0) {
      throw new SdkError(
          "NotSupported", "EINVAL", "nothing is made with no permission at all; chmod takes 0");
    }
    return mode;
  }
}
