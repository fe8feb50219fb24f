package dev.cofferdam.broker.secret;

import java.util.UUID;

/**
 * Names one stored value for ever: it is written once and never changed.
 *
 * @param tenant whose it is
 * @param name the secret's
 * @param value of this one write: two writers of one version never meet
 * @param version from 1
 */
public record SecretKey(String tenant, String name, UUID value, long version) {
  public SecretKey {
    if (tenant.isEmpty() || name.isEmpty()) {
      throw new IllegalArgumentException(
          "tenant is '" + tenant + "', name is '" + name + "', expected both");
    }
    if (version < 1) {
      throw new IllegalArgumentException("version is " + version + ", expected at least 1");
    }
  }
}
