package dev.cofferdam.broker.audit;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.util.regex.Pattern;

/**
 * A place in a tenant's events. As text it sorts as it counts.
 *
 * @param position of the event itself; 0 is before the first
 */
public record Cursor(long position) {
  private static final Pattern TEXT = Pattern.compile("[0-7][0-9a-f]{15}");

  /** Empty text is the beginning. */
  public static Cursor parse(String text) {
    if (text.isEmpty()) {
      return new Cursor(0);
    }
    if (!TEXT.matcher(text).matches()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_CURSOR_INVALID,
          "the cursor is not one that an event or a page had");
    }
    return new Cursor(Long.parseLong(text, 16));
  }

  @Override
  public String toString() {
    return "%016x".formatted(position);
  }
}
