package dev.cofferdam.node.template;

/**
 * How far a template is.
 *
 * @param digest {@code sha256:...} of the OCI image's configuration; empty until it is known
 * @param message why it failed, for people; empty otherwise
 */
public record TemplateStatus(State state, String digest, String message) {
  public enum State {
    MAKING,
    READY,
    FAILED
  }
}
