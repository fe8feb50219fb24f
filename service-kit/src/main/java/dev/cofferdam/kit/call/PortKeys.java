package dev.cofferdam.kit.call;

/** What keys for ports look like. */
public final class PortKeys {
  /** Of every key, and of no token. */
  public static final String PREFIX = "cfk_";

  private PortKeys() {}

  /** The key of a port that is for everybody: it is no secret, and there is one while it is so. */
  public static String ofEverybody(String sandbox, int port) {
    return PREFIX + "public-" + port + "-" + sandbox;
  }
}
