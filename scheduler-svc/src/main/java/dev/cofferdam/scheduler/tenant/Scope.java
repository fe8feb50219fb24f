package dev.cofferdam.scheduler.tenant;

import java.util.Optional;
import java.util.stream.Stream;

/** What a token is good for. The list is closed by the contract. */
public enum Scope {
  SANDBOXES_READ("sandboxes:read"),
  SANDBOXES_WRITE("sandboxes:write"),
  EXEC("exec"),
  FILES("files"),
  PORTS("ports"),
  SECRETS_USE("secrets:use"),
  SECRETS_READ("secrets:read"),
  /** Known to the broker alone. A token that has it is never registered here. */
  SECRETS_WRITE("secrets:write"),
  AUDIT_READ("audit:read");

  private final String wireName;

  Scope(String wireName) {
    this.wireName = wireName;
  }

  /** As it stands on the wire and in the database. */
  public String wireName() {
    return wireName;
  }

  public static Optional<Scope> of(String wireName) {
    return Stream.of(values()).filter(scope -> scope.wireName.equals(wireName)).findFirst();
  }
}
