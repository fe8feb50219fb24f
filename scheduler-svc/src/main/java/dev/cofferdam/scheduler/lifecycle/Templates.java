package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.internal.v1.MakeTemplateResponse;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.scheduler.cluster.Cluster;
import dev.cofferdam.scheduler.placement.NodeView;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxState;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.scheduler.store.RequestStore.RequestKey;
import dev.cofferdam.scheduler.store.TemplateStore;
import dev.cofferdam.scheduler.template.Template;
import dev.cofferdam.scheduler.template.TemplateState;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Tenants' templates: a record, then every node in turn until one has it; later the other nodes as
 * they come. What is on record is worked on by whichever process is there, and every call to a node
 * may be repeated, so a crash forgets nothing. Safe for use by several threads.
 */
public final class Templates implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Templates.class);
  private static final Duration PERIOD = Duration.ofSeconds(1);

  /** A wait ends so long before its call does. */
  private static final Duration MARGIN = Duration.ofSeconds(1);

  private static final Duration LONGEST_WAIT = Duration.ofMinutes(5);

  /** How often a wait looks whether its caller is still there. */
  private static final Duration LOOK = Duration.ofSeconds(1);

  /** With one of these a node says that asking it again is of no use. */
  private static final Set<ErrorReason> FOR_GOOD =
      EnumSet.of(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_IMAGE_INVALID,
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE);

  /**
   * A builder that has ended by itself, and no word of its node for so long: it was for nothing.
   */
  private static final Duration LONGEST_BUILD = Builders.LONGEST.plusMinutes(10);

  private final TemplateStore store;
  private final Builders builders;
  private final Cluster cluster;
  private final int quota;
  private final InstantSource clock;
  private final RandomGenerator random;
  private final Retries retries;

  /** Each waits for its node, which makes one at a time. */
  private final Backlog makings = new Backlog(64);

  private final Backlog removals = new Backlog(16);
  private final Set<String> failedAt = ConcurrentHashMap.newKeySet();

  /** Whose create is under way here: its builder is not there yet, and not given up either. */
  private final Set<String> beginning = ConcurrentHashMap.newKeySet();

  /** Done with the next change of any. */
  private final AtomicReference<CompletableFuture<Void>> change =
      new AtomicReference<>(new CompletableFuture<>());

  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().daemon().name("templates").factory());

  /**
   * @param quota of one tenant, at least 1
   */
  public Templates(
      TemplateStore store,
      Builders builders,
      Cluster cluster,
      int quota,
      InstantSource clock,
      RandomGenerator random) {
    this.store = store;
    this.builders = builders;
    this.cluster = cluster;
    this.quota = quota;
    this.clock = clock;
    this.random = random;
    this.retries = new Retries(clock);
  }

  public void start() {
    var _ =
        timer.scheduleWithFixedDelay(
            this::pass, PERIOD.toMillis(), PERIOD.toMillis(), TimeUnit.MILLISECONDS);
  }

  /**
   * Returns once it is on record, and what it is built in runs.
   *
   * @param token of the tenant, for the broker
   */
  public Template create(String tenant, String token, TemplateSpec spec) {
    Template template =
        new Template(
            Ids.template(random),
            tenant,
            spec.name(),
            spec.source(),
            spec.size(),
            "",
            TemplateState.MAKING,
            "",
            spec.source().hasDebian() ? Ids.sandbox(random) : "",
            clock.instant().truncatedTo(ChronoUnit.MICROS));
    beginning.add(template.id());
    try {
      Optional<Template> known = recorded(template, spec);
      if (known.isPresent()) {
        return known.get();
      }
      if (template.isBuilt()) {
        begin(template, token);
      }
    } finally {
      beginning.remove(template.id());
    }
    makings.addUnlessBusy(template.id(), () -> drive(template.id()));
    return template;
  }

  /** Empty where it is this one's record; else what the same request made before. */
  private Optional<Template> recorded(Template template, TemplateSpec spec) {
    String tenant = template.tenant();
    switch (store.create(template, spec.request(), quota)) {
      case TemplateStore.Outcome.Created _ -> {}
      case TemplateStore.Outcome.Known known -> {
        if (!spec.request().map(RequestKey::fingerprint).equals(Optional.of(known.fingerprint()))) {
          throw new Refusal(
              ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
              "this request id was used for another create, of the template "
                  + known.template().name());
        }
        return Optional.of(known.template());
      }
      case TemplateStore.Outcome.Exists _ ->
          throw new Refusal(
              ErrorReason.ERROR_REASON_TEMPLATE_EXISTS,
              "tenant %s has a template %s".formatted(tenant, spec.name()));
      case TemplateStore.Outcome.OverQuota over ->
          throw new Refusal(
              ErrorReason.ERROR_REASON_QUOTA_EXCEEDED,
              "tenant %s has %d templates, allowed are %d".formatted(tenant, over.inUse(), quota));
    }
    return Optional.empty();
  }

  private void begin(Template template, String token) {
    try {
      builders.begin(template, token);
    } catch (RuntimeException e) {
      // The caller learns why; nobody else ever saw it being made.
      store.withdraw(template.id());
      throw e;
    }
  }

  /** A tenant's own; empty where it has none of that name. */
  public Optional<Template> find(String tenant, String name) {
    return store.find(tenant, name);
  }

  /** As {@link #find}, once it is made or failed, or as it is when the call's deadline nears. */
  public Optional<Template> await(String tenant, String name) {
    @Nullable Deadline deadline = Context.current().getDeadline();
    long left =
        Math.min(
            LONGEST_WAIT.toNanos(),
            deadline == null
                ? Long.MAX_VALUE
                : deadline.timeRemaining(TimeUnit.NANOSECONDS) - MARGIN.toNanos());
    long end = System.nanoTime() + left;
    while (true) {
      // Before the look: what changes after it is not missed.
      CompletableFuture<Void> next = change.get();
      Optional<Template> found = store.find(tenant, name);
      long remaining = end - System.nanoTime();
      if (found.filter(template -> template.state() == TemplateState.MAKING).isEmpty()
          || remaining <= 0
          || Context.current().isCancelled()) {
        return found;
      }
      try {
        next.get(Math.min(remaining, LOOK.toNanos()), TimeUnit.NANOSECONDS);
      } catch (TimeoutException e) {
        // Time for another look.
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return found;
      } catch (ExecutionException e) {
        throw new IllegalStateException("nothing fails it", e);
      }
    }
  }

  /** A tenant's own by name, those after one. */
  public List<Template> page(String tenant, String after, int limit) {
    return store.page(tenant, after, limit);
  }

  /** The operator's: every tenant's, where it has none of that name. */
  public Set<String> operators() {
    Set<String> names = new TreeSet<>();
    for (NodeView node : cluster.view().nodes()) {
      node.templates().stream().filter(name -> !Template.isId(name)).forEach(names::add);
    }
    return names;
  }

  /**
   * What a create of a sandbox means by a name: the tenant's own hide the operator's.
   *
   * @return empty for what is the operator's, or nobody's
   * @throws Refusal TEMPLATE_NOT_READY, or TEMPLATE_NOT_FOUND for what only nodes may be told
   */
  public Optional<Template> resolve(String tenant, String name) {
    Optional<Template> own = store.find(tenant, name);
    if (own.isEmpty()) {
      if (Template.isId(name)) {
        // Another's, if anybody's.
        throw notFound(tenant, name);
      }
      return own;
    }
    return switch (own.get().state()) {
      case READY -> own;
      case MAKING ->
          throw new Refusal(
              ErrorReason.ERROR_REASON_TEMPLATE_NOT_READY,
              "template " + name + " is still being made");
      case FAILED, DELETING ->
          throw new Refusal(
              ErrorReason.ERROR_REASON_TEMPLATE_NOT_READY,
              "template %s could not be made: %s".formatted(name, own.get().message()));
    };
  }

  /** It is nobody's from now on; what remains is done in the background. */
  public void delete(String tenant, String name) {
    Template template = store.find(tenant, name).orElseThrow(() -> notFound(tenant, name));
    if (!store.deleting(template.id())) {
      throw notFound(tenant, name);
    }
    signal();
    removals.add(template.id(), () -> takeAway(template.id()));
  }

  public static Refusal notFound(String tenant, String name) {
    return new Refusal(
        ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND,
        "tenant %s has no template %s".formatted(tenant, Texts.quoted(name)));
  }

  @Override
  public void close() {
    Shutdown.gently(timer);
    makings.close();
    removals.close();
  }

  /** One round. */
  void pass() {
    try {
      for (Template template : store.in(TemplateState.MAKING, TemplateState.DELETING)) {
        if (retries.isDue(template.id())) {
          if (template.state() == TemplateState.MAKING) {
            makings.addUnlessBusy(template.id(), () -> drive(template.id()));
          } else {
            removals.addUnlessBusy(template.id(), () -> takeAway(template.id()));
          }
        }
      }
      removeStrays();
      spread();
    } catch (RuntimeException e) {
      log.atWarn()
          .setMessage("housekeeping_failed")
          .addKeyValue("part", "templates")
          .addKeyValue("why", e.getMessage())
          .log();
    }
  }

  /** What a node that was away has and nobody wants any more. */
  private void removeStrays() {
    Set<String> offered = new TreeSet<>();
    for (NodeView node : connected()) {
      node.templates().stream().filter(Template::isId).forEach(offered::add);
    }
    if (!offered.isEmpty()) {
      offered.removeAll(store.known(offered));
      offered.stream()
          .filter(retries::isDue)
          .forEach(id -> removals.addUnlessBusy(id, () -> takeAway(id)));
    }
  }

  /** Nodes that came later get what there is. */
  private void spread() {
    List<NodeView> nodes = connected();
    if (nodes.isEmpty()) {
      return;
    }
    for (Template template : store.in(TemplateState.READY)) {
      if (template.isBuilt()) {
        // Another build would be another template: it stays where it was built.
        continue;
      }
      for (NodeView node : nodes) {
        String what = template.id() + "@" + node.name();
        if (!node.templates().contains(template.id())
            && !failedAt.contains(what)
            && retries.isDue(what)) {
          makings.addUnlessBusy(what, () -> spread(template, node.name(), what));
        }
      }
    }
  }

  private void spread(Template template, String node, String what) {
    boolean done = false;
    try {
      switch (madeAt(template, node)) {
        case Answer.Ready _, Answer.Failed _ -> done = true;
        case Answer.Later _ -> {}
      }
    } finally {
      retries.note(what, done);
    }
  }

  /** What a node has made of it. */
  private sealed interface Answer {
    record Ready(String digest) implements Answer {}

    record Failed(String digest, String message) implements Answer {}

    /** Not now: the node is away or busy. */
    record Later() implements Answer {}
  }

  /** From node to node until one has it. */
  private void drive(String id) {
    boolean done = false;
    try {
      if (beginning.contains(id)) {
        return;
      }
      Optional<Template> found =
          store.find(id).filter(template -> template.state() == TemplateState.MAKING);
      done = found.isEmpty() || (found.get().isBuilt() ? built(found.get()) : driven(found.get()));
    } catch (RuntimeException e) {
      log.atWarn()
          .setMessage("template_not_made")
          .addKeyValue("template", id)
          .addKeyValue("why", e.getMessage())
          .log();
    } finally {
      retries.note(id, done);
    }
  }

  private boolean driven(Template template) {
    List<Answer.Failed> failures = new ArrayList<>();
    List<NodeView> nodes = connected();
    for (NodeView node : nodes) {
      switch (madeAt(template, node.name())) {
        case Answer.Ready(String digest) -> {
          return end(template, TemplateState.READY, digest, "");
        }
        case Answer.Failed failed -> failures.add(failed);
        case Answer.Later _ -> {}
      }
    }
    if (nodes.isEmpty() || failures.size() < nodes.size()) {
      return false;
    }
    Answer.Failed last = failures.getLast();
    return end(template, TemplateState.FAILED, last.digest(), last.message());
  }

  /** At its builder's node, which may have built it though the builder is gone. */
  private boolean built(Template template) {
    Optional<Sandbox> builder = builders.find(template);
    if (builder.isEmpty()) {
      return end(
          template, TemplateState.FAILED, "", "the scheduler stopped before the build began");
    }
    return switch (builder.get().state()) {
      // Of a process that died: it is being undone.
      case SandboxState.Starting _ -> false;
      case SandboxState.Live _, SandboxState.Stopping _, SandboxState.Ended _ ->
          switch (madeAt(template, builder.get().node())) {
            case Answer.Ready(String digest) -> end(template, TemplateState.READY, digest, "");
            case Answer.Failed(String digest, String message) ->
                end(template, TemplateState.FAILED, digest, message);
            case Answer.Later _ ->
                clock.instant().isAfter(template.createTime().plus(LONGEST_BUILD))
                    && end(
                        template,
                        TemplateState.FAILED,
                        "",
                        "node %s, where it was being built, is not there"
                            .formatted(builder.get().node()));
          };
    };
  }

  private boolean end(Template template, TemplateState end, String digest, String message) {
    if (template.isBuilt()) {
      // First, so that no record is left that would have to be remembered for its builder's sake.
      var _ = builders.end(template);
    }
    // Where it has been deleted meanwhile there is nothing left to do here.
    var _ = store.made(template.id(), end, Texts.message(digest), Texts.report(message));
    signal();
    log.atInfo()
        .setMessage("template_made")
        .addKeyValue("template", template.id())
        .addKeyValue("tenant", template.tenant())
        .addKeyValue("state", end)
        .log();
    return true;
  }

  /** Each call waits a while for the end by itself. */
  private Answer madeAt(Template template, String node) {
    try {
      while (true) {
        MakeTemplateResponse response = cluster.link(node).makeTemplate(template);
        switch (response.getState()) {
          case TEMPLATE_STATE_READY -> {
            cluster.offers(node, template.id());
            return new Answer.Ready(response.getDigest());
          }
          case TEMPLATE_STATE_FAILED -> {
            return failed(template, node, response.getDigest(), response.getMessage());
          }
          case TEMPLATE_STATE_MAKING, TEMPLATE_STATE_UNSPECIFIED, UNRECOGNIZED -> {
            if (isGone(template.id()) || Thread.currentThread().isInterrupted()) {
              return new Answer.Later();
            }
          }
        }
      }
    } catch (StatusRuntimeException e) {
      return Refusals.reason(e).filter(FOR_GOOD::contains).isPresent()
          ? failed(template, node, "", String.valueOf(e.getStatus().getDescription()))
          : new Answer.Later();
    } catch (Refusal e) {
      return FOR_GOOD.contains(e.reason())
          ? failed(template, node, "", String.valueOf(e.getMessage()))
          : new Answer.Later();
    }
  }

  private Answer failed(Template template, String node, String digest, String message) {
    failedAt.add(template.id() + "@" + node);
    return new Answer.Failed(digest, message);
  }

  private boolean isGone(String id) {
    return store.find(id).filter(found -> found.state() != TemplateState.DELETING).isEmpty();
  }

  /** From every node that is there; one that may have it and is not keeps the record. */
  private void takeAway(String id) {
    boolean done = false;
    try {
      if (beginning.contains(id)) {
        return;
      }
      // A builder that is gone ends the build at its node by itself.
      boolean all = store.find(id).filter(Template::isBuilt).map(builders::end).orElse(true);
      for (NodeView node : cluster.view().nodes()) {
        if (node.present()) {
          cluster.link(node.name()).removeTemplate(id);
          failedAt.remove(id + "@" + node.name());
        } else {
          all &= !node.templates().contains(id);
        }
      }
      cluster.withdraw(id);
      if (all) {
        store.remove(id);
        done = true;
      }
    } catch (RuntimeException e) {
      log.atWarn()
          .setMessage("template_not_removed")
          .addKeyValue("template", id)
          .addKeyValue("why", e.getMessage())
          .log();
    } finally {
      retries.note(id, done);
    }
  }

  private List<NodeView> connected() {
    return cluster.view().nodes().stream().filter(NodeView::present).toList();
  }

  private void signal() {
    change.getAndSet(new CompletableFuture<>()).complete(null);
  }
}
