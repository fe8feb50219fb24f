package dev.cofferdam.node.cloudhypervisor;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which Cloud Hypervisor this is, as {@code vmm.ping} says it under {@code build_version}. What it
 * can do follows from that: a field that it does not know is ignored without a word.
 *
 * @param text as it came, cut to what can be shown
 * @param beyond it was built from a commit after that release: {@code v53.0-246-gae44c2971}
 */
record ApiVersion(String text, int major, int minor, boolean beyond) {
  /**
   * The oldest that this driver speaks to. Older ones give a tap an address unless told otherwise,
   * which needs a capability that a jailed VMM has not.
   */
  private static final int OLDEST = 51;

  private static final Pattern FORM =
      Pattern.compile("v?(\\d{1,4})\\.(\\d{1,4})(?:\\.\\d{1,4})?(-\\d+-g[0-9a-f]+)?(?:-dirty)?");

  /**
   * @throws ApiException when this is no version, or one that is too old
   */
  static ApiVersion parse(String text) {
    Matcher matcher = FORM.matcher(text);
    if (!matcher.matches()) {
      throw new ApiException(
          "the version is '%s', expected v<major>.<minor>"
              .formatted(
                  text.replaceAll("[^\\x20-\\x7e]", "?")
                      .substring(0, Math.min(40, text.length()))));
    }
    ApiVersion version =
        new ApiVersion(
            text,
            Integer.parseInt(matcher.group(1)),
            Integer.parseInt(matcher.group(2)),
            matcher.group(3) != null);
    if (version.major < OLDEST) {
      throw new ApiException(
          "Cloud Hypervisor is %s, expected v%d.0 or newer".formatted(text, OLDEST));
    }
    return version;
  }

  /**
   * How it may be able to restore memory, the best first. A build between two releases may have
   * what the later one has: it is asked, and refuses by itself what it does not know.
   */
  List<RestoreMode> restoreModes() {
    if (major > 53 || (major == 53 && (minor > 0 || beyond))) {
      return List.of(RestoreMode.COPY_ON_WRITE, RestoreMode.ON_DEMAND, RestoreMode.COPY);
    }
    if (major >= 52) {
      return List.of(RestoreMode.ON_DEMAND, RestoreMode.COPY);
    }
    return List.of(RestoreMode.COPY);
  }
}
