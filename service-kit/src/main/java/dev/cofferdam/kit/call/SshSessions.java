package dev.cofferdam.kit.call;

/** What the credentials of SSH sessions look like. */
public final class SshSessions {
  /** Of every credential, and of no token. */
  public static final String PREFIX = "cfs_";

  private SshSessions() {}
}
