package dev.cofferdam.scheduler.template;

import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.v1.TemplateSource;
import java.time.Instant;
import java.util.regex.Pattern;

/**
 * The record of a tenant's template.
 *
 * @param id {@code tp-} and 20 characters of {@code [a-z2-7]}: what nodes know it by
 * @param name {@code [a-z][a-z0-9-]{0,62}}, one of the tenant's
 * @param size of a sandbox that names none
 * @param digest {@code sha256:...}; empty until it is known
 * @param message why it failed, for people; empty otherwise
 * @param builder id of the sandbox that it is built in, which may not be there yet or any more;
 *     empty: it is not built in one
 */
public record Template(
    String id,
    String tenant,
    String name,
    TemplateSource source,
    SandboxSize size,
    String digest,
    TemplateState state,
    String message,
    String builder,
    Instant createTime) {
  private static final Pattern ID = Pattern.compile("tp-[a-z2-7]{20}");
  private static final Pattern NAME = Pattern.compile("[a-z][a-z0-9-]{0,62}");

  public Template {
    if (!isId(id) || !isName(name)) {
      throw new IllegalArgumentException(
          "template is '%s', named '%s'; expected %s and %s".formatted(id, name, ID, NAME));
    }
  }

  public boolean isBuilt() {
    return !builder.isEmpty();
  }

  public static boolean isId(String text) {
    return ID.matcher(text).matches();
  }

  public static boolean isName(String text) {
    return NAME.matcher(text).matches();
  }
}
