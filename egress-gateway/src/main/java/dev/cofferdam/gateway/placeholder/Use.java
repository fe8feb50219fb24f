package dev.cofferdam.gateway.placeholder;

/**
 * A placeholder that stands where it may.
 *
 * @param occurrences in this target, at least 1
 */
public record Use(Grant grant, String placeholder, Target target, int occurrences) {
  /** Over what the secret's binding says. */
  public boolean signsByHmac() {
    return target instanceof Target.Hmac || target instanceof Target.HmacQuery;
  }

  /** Whether the broker gives a signature in place of the value. */
  public boolean signs() {
    return target instanceof Target.Aws4 || signsByHmac();
  }
}
