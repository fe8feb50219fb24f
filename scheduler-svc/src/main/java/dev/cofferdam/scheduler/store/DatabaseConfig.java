package dev.cofferdam.scheduler.store;

import java.nio.file.Path;

/**
 * Where the records are.
 *
 * @param url {@code jdbc:postgresql://host:port/database}
 * @param passwordFile holds the password, surrounding blanks ignored
 * @param poolSize connections, 1 to 100
 */
public record DatabaseConfig(String url, String user, Path passwordFile, int poolSize) {
  public DatabaseConfig {
    if (!url.startsWith("jdbc:postgresql:")) {
      throw new IllegalArgumentException("url is '" + url + "', expected jdbc:postgresql://…");
    }
    if (poolSize < 1 || poolSize > 100) {
      throw new IllegalArgumentException("poolSize is " + poolSize + ", expected 1 to 100");
    }
  }
}
