package dev.cofferdam.scheduler.sandbox;

import dev.cofferdam.scheduler.sandbox.SandboxState.Ended;
import dev.cofferdam.scheduler.sandbox.SandboxState.Running;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.sandbox.SandboxState.Stopping;
import dev.cofferdam.v1.EgressPolicy;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * The record of a sandbox. Environment and placeholders are not in it: they go through to the node
 * once and are kept by nobody here.
 *
 * @param id {@code sb-} and 20 characters of {@code [a-z2-7]}
 * @param expireTime empty: no end of its own
 * @param node that it was assigned to
 * @param epoch of the assignment, from 1
 * @param version of this record, from 1, one more with every change
 * @param policy as the broker accepted it; only the broker judges it
 * @param policyRevision 0 until the broker accepted the first
 */
public record Sandbox(
    String id,
    String tenant,
    String template,
    SandboxSize size,
    Map<String, String> labels,
    Instant createTime,
    Optional<Instant> expireTime,
    String node,
    long epoch,
    long version,
    EgressPolicy policy,
    long policyRevision,
    List<SecretUse> secrets,
    Isolation isolation,
    SandboxState state) {
  private static final Pattern ID = Pattern.compile("sb-[a-z2-7]{20}");

  public Sandbox {
    if (!isId(id)) {
      throw new IllegalArgumentException("id is '" + id + "', expected " + ID);
    }
    if (epoch < 1 || version < 1 || policyRevision < 0) {
      throw new IllegalArgumentException(
          "%s has epoch %d, version %d, policy revision %d; expected at least 1, 1, 0"
              .formatted(id, epoch, version, policyRevision));
    }
    labels = Map.copyOf(labels);
    secrets = List.copyOf(secrets);
  }

  public static boolean isId(String text) {
    return ID.matcher(text).matches();
  }

  /** Opaque to clients; changes with every change of the record. */
  public String etag() {
    return "v" + Long.toString(version, Character.MAX_RADIX);
  }

  /** The record of a create that begins. */
  public EventDraft createdEvent() {
    return new EventDraft(EventDraft.Kind.CREATED, createTime, "placed on node " + node);
  }

  /** Its node refused, and another takes it over under a new epoch. Only from {@link Starting}. */
  public Transition placedAgain(String newNode, Isolation itsIsolation) {
    if (!(state instanceof Starting)) {
      throw cannot("be placed again");
    }
    return new Transition(
        this,
        new Sandbox(
            id,
            tenant,
            template,
            size,
            labels,
            createTime,
            expireTime,
            newNode,
            epoch + 1,
            version + 1,
            policy,
            policyRevision,
            secrets,
            itsIsolation,
            state),
        Optional.empty());
  }

  /** The node and the broker did their part. Only from {@link Starting}. */
  public Transition started(Isolation actual, long revision, Instant now) {
    return switch (state) {
      case Starting _ ->
          new Transition(
              this,
              with(expireTime, policy, revision, actual, new Running(now)),
              event(EventDraft.Kind.RUNNING, now, ""));
      case Running _ -> throw cannot("start");
      case Stopping _ -> throw cannot("start");
      case Ended _ -> throw cannot("start");
    };
  }

  /** Only from {@link Running}. */
  public Transition extended(Optional<Instant> expire, Instant now) {
    requireRunning("be extended");
    return new Transition(
        this,
        with(expire, policy, policyRevision, isolation, state),
        event(
            EventDraft.Kind.EXTENDED,
            now,
            expire.map(time -> "ends at " + time).orElse("has no end of its own")));
  }

  /** Only from {@link Running}, and only upwards. */
  public Transition policyUpdated(EgressPolicy newPolicy, long revision, Instant now) {
    requireRunning("change its policy");
    if (revision <= policyRevision) {
      throw new IllegalArgumentException(
          "policy revision of %s is %d, got %d".formatted(id, policyRevision, revision));
    }
    return new Transition(
        this,
        with(expireTime, newPolicy, revision, isolation, state),
        event(EventDraft.Kind.POLICY_UPDATED, now, "policy revision " + revision));
  }

  /** The point of no return. Only from {@link Starting} and {@link Running}. */
  public Transition stopping(EndCause cause, String message) {
    return switch (state) {
      case Starting _ -> stop(cause, message);
      case Running _ -> stop(cause, message);
      case Stopping _ -> throw cannot("stop");
      case Ended _ -> throw cannot("stop");
    };
  }

  /** Nothing of it is left anywhere. Only from {@link Stopping}. */
  public Transition ended(Instant now) {
    return switch (state) {
      case Stopping stopping ->
          new Transition(
              this,
              with(
                  expireTime,
                  policy,
                  policyRevision,
                  isolation,
                  new Ended(stopping.cause(), stopping.message(), now)),
              event(
                  stopping.cause() == EndCause.START_FAILED
                      ? EventDraft.Kind.START_FAILED
                      : EventDraft.Kind.ENDED,
                  now,
                  stopping.message()));
      case Starting _ -> throw cannot("end");
      case Running _ -> throw cannot("end");
      case Ended _ -> throw cannot("end");
    };
  }

  private Transition stop(EndCause cause, String message) {
    return new Transition(
        this,
        with(
            expireTime,
            policy,
            policyRevision,
            isolation,
            new Stopping(cause, Texts.message(message))),
        Optional.empty());
  }

  private static Optional<EventDraft> event(EventDraft.Kind kind, Instant now, String message) {
    return Optional.of(new EventDraft(kind, now, message));
  }

  private void requireRunning(String what) {
    if (!(state instanceof Running)) {
      throw cannot(what);
    }
  }

  private IllegalStateException cannot(String what) {
    return new IllegalStateException(id + " is " + state + " and cannot " + what);
  }

  private Sandbox with(
      Optional<Instant> expire,
      EgressPolicy newPolicy,
      long revision,
      Isolation newIsolation,
      SandboxState newState) {
    return new Sandbox(
        id,
        tenant,
        template,
        size,
        labels,
        createTime,
        expire,
        node,
        epoch,
        version + 1,
        newPolicy,
        revision,
        secrets,
        newIsolation,
        newState);
  }
}
