package dev.cofferdam.node.template;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.image.ImageStore;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The operator's templates by name. Each is prepared in one size, without which the node is of no
 * use, and then in further ones, whose sandboxes are booted until theirs is ready. They are
 * prepared one after another; safe for use by several threads.
 */
public final class Templates implements TemplateCatalog {
  private static final Logger log = LoggerFactory.getLogger(Templates.class);

  /** How far a template is. */
  private sealed interface State {
    record Preparing() implements State {}

    record Ready(Template template) implements State {}

    record Failed(String why) implements State {}
  }

  private final Map<String, String> images;
  private final ImageStore store;
  private final TemplateMaker maker;
  private final PreparedSize first;
  private final List<PreparedSize> further;
  private final Map<String, State> states = new ConcurrentHashMap<>();

  /** Those of further sizes that are ready. */
  private final Map<Variant, Template> variants = new ConcurrentHashMap<>();

  /** A template in one of its sizes. */
  private record Variant(String name, PreparedSize size) {}

  /**
   * @param images digests by template name
   * @param first the size that every template is prepared in before it is there
   * @param further prepared after that, in this order
   */
  public Templates(
      Map<String, String> images,
      ImageStore store,
      TemplateMaker maker,
      PreparedSize first,
      List<PreparedSize> further) {
    this.images = Map.copyOf(images);
    this.store = store;
    this.maker = maker;
    this.first = first;
    this.further = List.copyOf(further);
    images.keySet().forEach(name -> states.put(name, new State.Preparing()));
  }

  /**
   * Prepares every template in its first size that is not ready yet.
   *
   * @return whether all are
   */
  public boolean prepare() {
    boolean all = true;
    for (String name : images.keySet().stream().sorted().toList()) {
      if (!(states.get(name) instanceof State.Ready)) {
        State state = prepare(name);
        states.put(name, state);
        all &= state instanceof State.Ready;
      }
    }
    return all;
  }

  /**
   * Prepares what is not ready yet of the further sizes. Quiet about failures: without them
   * sandboxes of these sizes are booted.
   *
   * @param admission throws when the host has no room for a boot now
   * @return whether all are ready
   */
  public boolean prepareFurther(Runnable admission) {
    boolean all = true;
    for (PreparedSize size : further) {
      for (String name : images.keySet().stream().sorted().toList()) {
        Variant wanted = new Variant(name, size);
        if (!variants.containsKey(wanted)) {
          try {
            admission.run();
            variants.put(wanted, made(name, size));
          } catch (IOException | RuntimeException e) {
            failed(name, size, e);
            all = false;
          }
        }
      }
    }
    return all;
  }

  @Override
  public Template require(String name, MachineSize size) {
    Template prepared = require(name);
    PreparedSize wanted = PreparedSize.of(size);
    return variants.getOrDefault(new Variant(name, wanted), prepared);
  }

  private Template require(String name) {
    return switch (states.get(name)) {
      case State.Ready ready -> ready.template();
      case State.Preparing _ -> throw unavailable(name, "is being prepared");
      case State.Failed failed -> throw unavailable(name, "could not be prepared: " + failed.why());
      case null ->
          throw new Refusal(
              ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND,
              "template is '%s', expected one of %s"
                  .formatted(name, states.keySet().stream().sorted().toList()));
    };
  }

  /** Those that can be restored at once. */
  public List<String> ready() {
    return states.entrySet().stream()
        .filter(entry -> entry.getValue() instanceof State.Ready)
        .map(Map.Entry::getKey)
        .sorted()
        .toList();
  }

  /** All that machines can be made ahead of, those of the first size before the others. */
  public List<Offer> offers() {
    List<Offer> offers = new ArrayList<>();
    List<String> names = ready();
    for (String name : names) {
      if (states.get(name) instanceof State.Ready is) {
        offers.add(new Offer(name, is.template(), ""));
      }
    }
    for (PreparedSize size : further) {
      for (String name : names) {
        Template template = variants.get(new Variant(name, size));
        if (template != null) {
          offers.add(new Offer(name, template, ""));
        }
      }
    }
    return offers;
  }

  /** Why the node is not ready: empty once all templates are. */
  public Optional<String> notReady() {
    List<String> why = new ArrayList<>();
    states.forEach((name, state) -> {
      switch (state) {
        case State.Ready _ -> {}
        case State.Preparing _ -> why.add(name + " is being prepared");
        case State.Failed failed -> why.add(name + ": " + failed.why());
      }
    });
    return why.isEmpty() ? Optional.empty() : Optional.of(String.join("; ", why));
  }

  private State prepare(String name) {
    try {
      return new State.Ready(made(name, first));
    } catch (IOException | RuntimeException e) {
      failed(name, first, e);
      return new State.Failed(String.valueOf(e.getMessage()));
    }
  }

  private Template made(String name, PreparedSize size) throws IOException {
    Template template =
        maker.make(store.open(images.getOrDefault(name, "")), size.vcpus(), size.memoryMib());
    log.atInfo()
        .setMessage("template_ready")
        .addKeyValue("name", name)
        .addKeyValue("size", size)
        .addKeyValue("template", template.name())
        .log();
    return template;
  }

  private static void failed(String name, PreparedSize size, Exception cause) {
    log.atError()
        .setMessage("template_failed")
        .addKeyValue("name", name)
        .addKeyValue("size", size)
        .setCause(cause)
        .log();
  }

  private static Refusal unavailable(String name, String what) {
    return new Refusal(ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, "template " + name + " " + what);
  }
}
