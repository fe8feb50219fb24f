package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.scheduler.sandbox.EndCause;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.sandbox.TimeoutAction;
import dev.cofferdam.scheduler.store.SandboxStore;
import dev.cofferdam.scheduler.template.Template;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The sandboxes that templates are built in: ordinary ones of their tenants, with an end of their
 * own even where nobody is left to end them. Which one is whose is on the template's record before
 * it is made, so no crash leaves one that nothing knows of. Safe for use by several threads.
 */
public final class Builders {
  /** Of a build, as template.proto has it. */
  static final Duration LONGEST = Duration.ofMinutes(60);

  private static final String LABEL = "cofferdam.dev/builds";

  private final SandboxStore store;
  private final SandboxCreator creator;
  private final SandboxEnder ender;
  private final String base;
  private final SandboxSize size;

  Builders(
      SandboxStore store,
      SandboxCreator creator,
      SandboxEnder ender,
      String base,
      SandboxSize size) {
    this.store = store;
    this.creator = creator;
    this.ender = ender;
    this.base = base;
    this.size = size;
  }

  /**
   * Blocks until the template's builder runs or its create has been undone.
   *
   * @param token of the tenant, for the broker
   */
  void begin(Template template, String token) {
    CreateSpec spec =
        new CreateSpec(
            Optional.empty(),
            base,
            base,
            larger(template.size()),
            Map.of(),
            List.of(),
            template.source().getDebian().getEgressPolicy(),
            Optional.of(LONGEST),
            TimeoutAction.DELETE,
            Optional.empty(),
            Optional.empty(),
            Map.of(),
            Optional.empty(),
            Map.of(LABEL, template.name()));
    var _ = creator.create(template.builder(), template.tenant(), token, spec, () -> true);
  }

  /** Empty where it was never made, or is forgotten. */
  Optional<Sandbox> find(Template template) {
    return store.find(template.builder());
  }

  /**
   * The record says so on return, whatever becomes of the rest.
   *
   * @return whether nothing of it is left; else that is seen to in the background
   */
  boolean end(Template template) {
    return ender
        .stop(template.builder(), EndCause.DELETED, "the build of its template has ended")
        .map(stopped -> ender.finish(stopped.id()))
        .orElse(true);
  }

  private SandboxSize larger(SandboxSize wanted) {
    return new SandboxSize(
        Math.max(size.vcpus(), wanted.vcpus()),
        Math.max(size.memoryMib(), wanted.memoryMib()),
        Math.max(size.diskMib(), wanted.diskMib()));
  }
}
