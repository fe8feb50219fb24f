package dev.cofferdam.gateway.slot;

import dev.cofferdam.gateway.policy.Rule;
import dev.cofferdam.kit.egress.Caps;
import java.util.Locale;
import java.util.Optional;

/** The place of one request or relayed connection under the caps of its sandbox and its rule. */
public final class Allowance implements AutoCloseable {
  private final CapUse sandbox;
  private final Caps sandboxCaps;
  private final CapUse rule;
  private final Caps ruleCaps;
  private boolean closed;

  private Allowance(CapUse sandbox, Caps sandboxCaps, CapUse rule, Caps ruleCaps) {
    this.sandbox = sandbox;
    this.sandboxCaps = sandboxCaps;
    this.rule = rule;
    this.ruleCaps = ruleCaps;
  }

  /** What was taken, or why there is none, for people. */
  public record Taken(Optional<Allowance> allowance, String why) {}

  /** Takes a place under both, or under none. */
  static Taken take(Slot slot, CapUse sandbox, CapUse underRule, Rule rule, long now) {
    Caps whole = slot.attachment().policy().caps();
    Caps part = rule.terms().caps();
    CapUse.Spent spent = sandbox.begin(whole, now);
    if (spent != CapUse.Spent.NOTHING) {
      return new Taken(
          Optional.empty(), "the sandbox's cap on %s is reached".formatted(what(spent)));
    }
    spent = underRule.begin(part, now);
    if (spent != CapUse.Spent.NOTHING) {
      sandbox.undo(whole);
      return new Taken(
          Optional.empty(),
          "the cap on %s of the policy's rule %d is reached"
              .formatted(what(spent), rule.terms().number()));
    }
    return new Taken(Optional.of(new Allowance(sandbox, whole, underRule, part)), "");
  }

  private static String what(CapUse.Spent spent) {
    return spent == CapUse.Spent.CONCURRENT
        ? "concurrent requests"
        : spent.name().toLowerCase(Locale.ROOT);
  }

  /** Counts bytes in either direction; false where they are more than is left. */
  public boolean add(long bytes) {
    return sandbox.add(sandboxCaps, bytes) && rule.add(ruleCaps, bytes);
  }

  /** Its request is over. Idempotent. */
  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      sandbox.end();
      rule.end();
    }
  }
}
