package dev.cofferdam.node.template;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.v1.ErrorReason;
import java.util.List;
import java.util.regex.Pattern;

/**
 * A template to make here.
 *
 * @param id {@code tp-} and 20 characters of {@code [a-z2-7]}, chosen by the scheduler
 * @param kernel a file of the operator's kernel directory, or empty: the built-in one
 * @param size that it is prepared for
 * @param owner the tenant whose it is; the id itself where that is not known
 */
public record TemplateOrder(
    String id, ImageSource source, String kernel, MachineSize size, String owner) {
  private static final Pattern ID = Pattern.compile("tp-[a-z2-7]{20}");

  /** Where its root comes from. */
  public sealed interface ImageSource {
    /** As {@code host[:port]/name[:tag|@sha256:...]}. */
    record Registry(String reference) implements ImageSource {}

    /** In the operator's image directory. */
    record File(String name) implements ImageSource {}

    /**
     * What comes of a build.
     *
     * @param sandbox that it runs in
     * @param sources lines of sources.list(5) in place of the base's; none: the base's
     * @param packages {@code name} or {@code name=version}
     * @param steps of a shell
     */
    record Built(String sandbox, List<String> sources, List<String> packages, List<String> steps)
        implements ImageSource {
      public Built {
        sources = List.copyOf(sources);
        packages = List.copyOf(packages);
        steps = List.copyOf(steps);
      }
    }
  }

  public TemplateOrder {
    requireId(id);
    if (owner.isEmpty()) {
      owner = id;
    }
  }

  /** Whose it is does not count: orders of an earlier release did not say it. */
  boolean isSameAs(TemplateOrder other) {
    return id.equals(other.id)
        && source.equals(other.source)
        && kernel.equals(other.kernel)
        && size.equals(other.size);
  }

  public static boolean isId(String name) {
    return ID.matcher(name).matches();
  }

  /** An id becomes a path: nothing but the one form gets in. */
  static void requireId(String id) {
    if (!isId(id)) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT, "template is '" + id + "', expected " + ID);
    }
  }
}
