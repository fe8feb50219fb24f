package dev.cofferdam.kit.egress;

/**
 * A part of a request that two parsers could read differently; its message says which, and never
 * quotes it.
 */
public final class AmbiguousException extends Exception {
  private static final long serialVersionUID = 1L;

  AmbiguousException(String message) {
    super(message, null, false, false);
  }
}
