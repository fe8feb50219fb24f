package dev.cofferdam.scheduler.sandbox;

import java.util.Locale;
import java.util.regex.Pattern;

/**
 * A secret that a sandbox may use, by name. Its value is never here: no message that reaches this
 * service has a field for one.
 *
 * @param secret the name at the broker, {@code [a-z][a-z0-9-]{0,62}}
 * @param env the variable that holds the placeholder, {@code [A-Za-z_][A-Za-z0-9_]{0,127}}
 */
public record SecretUse(String secret, String env) {
  private static final Pattern NAME = Pattern.compile("[a-z][a-z0-9-]{0,62}");
  private static final Pattern ENV = Pattern.compile("[A-Za-z_][A-Za-z0-9_]{0,127}");

  public SecretUse {
    if (!isName(secret)) {
      throw new IllegalArgumentException("secret is '" + secret + "', expected " + NAME);
    }
    if (!isEnv(env)) {
      throw new IllegalArgumentException("env is '" + env + "', expected " + ENV);
    }
  }

  public static boolean isName(String name) {
    return NAME.matcher(name).matches();
  }

  public static boolean isEnv(String name) {
    return ENV.matcher(name).matches();
  }

  /** The variable of a reference that names none. */
  public static String defaultEnv(String secret) {
    return secret.toUpperCase(Locale.ROOT).replace('-', '_');
  }
}
