package dev.cofferdam.scheduler.sandbox;

import dev.cofferdam.scheduler.sandbox.SandboxState.Ended;
import dev.cofferdam.scheduler.sandbox.SandboxState.Live;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.sandbox.SandboxState.Stopping;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.StartReport;
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
 * @param origin empty: made from its template
 * @param node that it was assigned to
 * @param epoch of the assignment, from 1
 * @param version of this record, from 1, one more with every change
 * @param policy as the broker accepted it; only the broker judges it
 * @param policyRevision 0 until the broker accepted the first
 * @param generation of its placeholders; 0 until the broker granted the first
 * @param volumes that it has from the record of its create to its end; none is handed on to a copy
 * @param start how it was started; empty until it was
 */
public record Sandbox(
    String id,
    String tenant,
    String template,
    SandboxSize size,
    Map<String, String> labels,
    Instant createTime,
    Lifetime lifetime,
    Optional<Origin> origin,
    String node,
    long epoch,
    long version,
    EgressPolicy policy,
    long policyRevision,
    long generation,
    List<SecretUse> secrets,
    List<VolumeUse> volumes,
    Isolation isolation,
    Optional<StartReport> start,
    SandboxState state) {
  private static final Pattern ID = Pattern.compile("sb-[a-z2-7]{20}");

  public Sandbox {
    if (!isId(id)) {
      throw new IllegalArgumentException("id is '" + id + "', expected " + ID);
    }
    if (epoch < 1 || version < 1 || policyRevision < 0 || generation < 0) {
      throw new IllegalArgumentException(
          "%s has epoch %d, version %d, policy revision %d, generation %d; expected at least 1, 1, 0, 0"
              .formatted(id, epoch, version, policyRevision, generation));
    }
    labels = Map.copyOf(labels);
    secrets = List.copyOf(secrets);
    volumes = List.copyOf(volumes);
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
            lifetime,
            origin,
            newNode,
            epoch + 1,
            version + 1,
            policy,
            policyRevision,
            generation,
            secrets,
            volumes,
            itsIsolation,
            start,
            state),
        Optional.empty());
  }

  /** What broker and node gave for it to run. */
  public record Started(
      Isolation isolation, long policyRevision, long generation, StartReport report) {}

  /** The node and the broker did their part. Only from {@link Starting}. */
  public Transition started(Started by, Instant now) {
    if (!(state instanceof Starting)) {
      throw cannot("start");
    }
    return new Transition(
        this,
        with(
            lifetime,
            policy,
            by.policyRevision(),
            by.generation(),
            by.isolation(),
            Optional.of(by.report()),
            Live.of(Activity.RUNNING, now, 0)),
        event(EventDraft.Kind.RUNNING, now, ""));
  }

  /**
   * Its node says what it does. Only while it is live. Empty when that is no news, or old.
   *
   * @param change the node's count of its changes; 0: not counted
   * @param message why, for people
   */
  public Optional<Transition> observed(
      Activity activity, long change, Instant now, String message) {
    Live live = requireLive("change");
    if (change > 0 && change <= live.change()) {
      return Optional.empty();
    }
    if (activity == live.activity()) {
      // A newer count of the same is kept: it tells that what comes late is old.
      return change == 0
          ? Optional.empty()
          : Optional.of(
              new Transition(
                  this, with(Live.of(activity, live.since(), change)), Optional.empty()));
    }
    long counted = Math.max(change, live.change());
    return Optional.of(
        new Transition(
            this,
            with(Live.of(activity, now, counted)),
            event(
                switch (activity) {
                  case RUNNING -> EventDraft.Kind.RESUMED;
                  case PAUSED -> EventDraft.Kind.PAUSED;
                  case SUSPENDED -> EventDraft.Kind.SUSPENDED;
                },
                now,
                Texts.message(message))));
  }

  /** It is as it was in a snapshot of it, and runs. Only while it is live. */
  public Transition rolledBack(String snapshot, long change, Instant now) {
    Live live = requireLive("be rolled back");
    return new Transition(
        this,
        with(Live.of(Activity.RUNNING, now, Math.max(change, live.change()))),
        event(EventDraft.Kind.ROLLED_BACK, now, "to " + snapshot));
  }

  /** Only while it is live. */
  public Transition extended(Optional<Instant> expire, Instant now) {
    var _ = requireLive("be extended");
    return new Transition(
        this,
        with(lifetime.until(expire)),
        event(
            EventDraft.Kind.EXTENDED,
            now,
            expire.map(time -> "ends at " + time).orElse("has no end of its own")));
  }

  /** Its lifetime is over and it stays. Only while it is live. */
  public Transition outlived(Instant now) {
    var _ = requireLive("outlive its time");
    return new Transition(
        this,
        with(lifetime.until(Optional.empty())),
        lifetime.action() == TimeoutAction.NONE
            ? event(EventDraft.Kind.EXPIRED, now, "its lifetime is over")
            : Optional.empty());
  }

  /** Only while it is live, and only upwards. */
  public Transition policyUpdated(EgressPolicy newPolicy, long revision, Instant now) {
    var _ = requireLive("change its policy");
    if (revision <= policyRevision) {
      throw new IllegalArgumentException(
          "policy revision of %s is %d, got %d".formatted(id, policyRevision, revision));
    }
    return new Transition(
        this,
        with(lifetime, newPolicy, revision, generation, isolation, start, state),
        event(EventDraft.Kind.POLICY_UPDATED, now, "policy revision " + revision));
  }

  /** The point of no return. Only from {@link Starting} and while it is live. */
  public Transition stopping(EndCause cause, String message) {
    return switch (state) {
      case Starting _ -> stop(cause, message);
      case Live _ -> stop(cause, message);
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
              with(new Ended(stopping.cause(), stopping.message(), now)),
              event(
                  stopping.cause() == EndCause.START_FAILED
                      ? EventDraft.Kind.START_FAILED
                      : EventDraft.Kind.ENDED,
                  now,
                  stopping.message()));
      case Starting _ -> throw cannot("end");
      case Live _ -> throw cannot("end");
      case Ended _ -> throw cannot("end");
    };
  }

  private Transition stop(EndCause cause, String message) {
    return new Transition(
        this, with(new Stopping(cause, Texts.message(message))), Optional.empty());
  }

  private static Optional<EventDraft> event(EventDraft.Kind kind, Instant now, String message) {
    return Optional.of(new EventDraft(kind, now, message));
  }

  private Live requireLive(String what) {
    if (state instanceof Live live) {
      return live;
    }
    throw cannot(what);
  }

  private IllegalStateException cannot(String what) {
    return new IllegalStateException(id + " is " + state + " and cannot " + what);
  }

  private Sandbox with(SandboxState newState) {
    return with(lifetime, policy, policyRevision, generation, isolation, start, newState);
  }

  private Sandbox with(Lifetime newLifetime) {
    return with(newLifetime, policy, policyRevision, generation, isolation, start, state);
  }

  private Sandbox with(
      Lifetime newLifetime,
      EgressPolicy newPolicy,
      long newRevision,
      long newGeneration,
      Isolation newIsolation,
      Optional<StartReport> newStart,
      SandboxState newState) {
    return new Sandbox(
        id,
        tenant,
        template,
        size,
        labels,
        createTime,
        newLifetime,
        origin,
        node,
        epoch,
        version + 1,
        newPolicy,
        newRevision,
        newGeneration,
        secrets,
        volumes,
        newIsolation,
        newStart,
        newState);
  }
}
