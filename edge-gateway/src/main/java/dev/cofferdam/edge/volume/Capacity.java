package dev.cofferdam.edge.volume;

import dev.cofferdam.edge.protocol.HttpError;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** How large a volume is: bytes, or a text as {@code 10GB}. */
final class Capacity {
  private static final Pattern FORM =
      Pattern.compile("([0-9]{1,18}(?:\\.[0-9]{1,9})?) ?(GB|MB|kB|GiB|MiB|KiB|B)?");

  private static final Map<String, Long> UNITS =
      Map.of(
          "B", 1L,
          "kB", 1_000L,
          "MB", 1_000_000L,
          "GB", 1_000_000_000L,
          "KiB", 1L << 10,
          "MiB", 1L << 20,
          "GiB", 1L << 30);

  private static final BigDecimal MIB = BigDecimal.valueOf(1L << 20);

  private Capacity() {}

  /** MiB, no smaller than what was asked for. */
  static int mib(String capacity) throws HttpError {
    Matcher form = FORM.matcher(capacity);
    if (!form.matches()) {
      throw HttpError.invalid(
          "INVALID_CAPACITY", "a capacity is bytes, or a number and GB, MB, kB, GiB, MiB or KiB");
    }
    String unit = form.group(2) == null ? "B" : form.group(2);
    BigDecimal mib =
        new BigDecimal(form.group(1))
            .multiply(BigDecimal.valueOf(UNITS.getOrDefault(unit, 1L)))
            .divide(MIB, 0, RoundingMode.CEILING);
    if (mib.signum() == 0 || mib.compareTo(BigDecimal.valueOf(Integer.MAX_VALUE)) > 0) {
      throw HttpError.invalid("INVALID_CAPACITY", "a volume has 64 MiB to 1 TiB");
    }
    return mib.intValueExact();
  }
}
