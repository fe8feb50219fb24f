package dev.cofferdam.edge.mesh;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What {@code DENO_DEPLOY_TOKEN} holds: {@code ddo_<token>} or {@code ddo_<token>.<secrets token>}.
 * Two tokens, for no service may see both: the first goes to the scheduler and the broker, the
 * second, which may write secrets, to the broker alone.
 *
 * @param secrets needed by a create with secrets
 */
public record DenoToken(String api, Optional<String> secrets) {
  private static final Pattern FORM =
      Pattern.compile("ddo_([A-Za-z0-9_-]{1,256})(?:\\.([A-Za-z0-9_-]{1,256}))?");

  /**
   * @param authorization the header's value; empty where it has not the form
   */
  public static Optional<DenoToken> ofHeader(String authorization) {
    String scheme = "Bearer ";
    if (!authorization.regionMatches(true, 0, scheme, 0, scheme.length())) {
      return Optional.empty();
    }
    Matcher form = FORM.matcher(authorization.substring(scheme.length()).strip());
    return form.matches()
        ? Optional.of(new DenoToken(form.group(1), Optional.ofNullable(form.group(2))))
        : Optional.empty();
  }

  @Override
  public String toString() {
    return "DenoToken";
  }
}
