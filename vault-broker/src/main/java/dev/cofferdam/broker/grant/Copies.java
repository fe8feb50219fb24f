package dev.cofferdam.broker.grant;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.catalog.ForkMode;
import dev.cofferdam.broker.catalog.Secret;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * What a copy of a sandbox takes over: the lineage, and as further names of its own grants the
 * placeholders that processes in it still hold. Never a grant: a secret that the copy does not ask
 * for itself, or whose owner lets placeholders drop, stays dead in it.
 */
final class Copies {
  private Copies() {}

  /** Another tenant's is as unknown as one that never was. One that has ended will do. */
  static Sandbox origin(Tx tx, String tenant, SandboxGrants.Origin wanted) throws SQLException {
    Sandbox origin =
        Sandbox.read(tx, wanted.sandbox())
            .filter(found -> found.tenant().equals(tenant) && found.session().isEmpty())
            .orElseThrow(() ->
                new Refusal(
                    ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND,
                    "the broker knows no sandbox '%s' to be copied".formatted(wanted.sandbox())));
    if (wanted.generation() > origin.generation()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "sandbox %s has the generations 1 to %d, not %d"
              .formatted(origin.id(), origin.generation(), wanted.generation()));
    }
    return origin;
  }

  /**
   * The copy's grants with what each inherits.
   *
   * @param own in the order in which they were asked for
   * @param secrets of the own grants, held against change
   * @param origins read after the secrets were held: a fork mode that changes is before or after
   */
  static List<Grant> inherit(List<Grant> own, Map<UUID, Secret> secrets, List<Grant> origins) {
    List<Set<ByteString>> inherited =
        own.stream().<Set<ByteString>>map(_ -> new LinkedHashSet<>()).toList();
    for (Grant origin : origins) {
      Secret secret = secrets.get(origin.secret());
      int heir = heir(own, origin);
      if (secret != null && secret.forkMode() == ForkMode.INHERIT && heir >= 0) {
        inherited.get(heir).add(origin.placeholderHash());
        inherited.get(heir).addAll(origin.inherited());
      }
    }
    List<Grant> heirs = new ArrayList<>();
    for (int i = 0; i < own.size(); i++) {
      heirs.add(own.get(i).inheriting(checked(own.get(i), inherited.get(i))));
    }
    return heirs;
  }

  /** Of several grants of the secret the one in the same variable, else the first; -1: none. */
  private static int heir(List<Grant> own, Grant origin) {
    int first = -1;
    for (int i = 0; i < own.size(); i++) {
      if (own.get(i).secret().equals(origin.secret())) {
        if (own.get(i).env().equals(origin.env())) {
          return i;
        }
        first = first < 0 ? i : first;
      }
    }
    return first;
  }

  private static List<ByteString> checked(Grant own, Set<ByteString> inherited) {
    if (inherited.size() > Grant.MAX_INHERITED) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_QUOTA_EXCEEDED,
          "the copy would inherit %d placeholders of secret %s, expected at most %d; copy an earlier sandbox, or let placeholders of the secret drop"
              .formatted(inherited.size(), own.secretName(), Grant.MAX_INHERITED));
    }
    return List.copyOf(inherited);
  }
}
