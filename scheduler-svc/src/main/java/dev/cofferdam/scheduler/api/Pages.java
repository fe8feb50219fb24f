package dev.cofferdam.scheduler.api;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;

/** How long a page of a list is. Pure. */
final class Pages {
  private static final int DEFAULT = 50;
  private static final int MAX = 1000;

  private Pages() {}

  /**
   * @throws Refusal INVALID_ARGUMENT
   */
  static int size(int asked) {
    int size = asked == 0 ? DEFAULT : asked;
    if (size < 1 || size > MAX) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "page_size is " + size + ", expected 1 to " + MAX + ", or 0");
    }
    return size;
  }
}
