package dev.cofferdam.node.template;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.image.ImageStore;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The node's templates by name. They are prepared one after another; safe for use by several
 * threads.
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
  private final int vcpus;
  private final int memoryMib;
  private final Map<String, State> states = new ConcurrentHashMap<>();

  /**
   * @param images digests by template name
   * @param vcpus of the size that is prepared
   * @param memoryMib of the size that is prepared
   */
  public Templates(
      Map<String, String> images, ImageStore store, TemplateMaker maker, int vcpus, int memoryMib) {
    this.images = Map.copyOf(images);
    this.store = store;
    this.maker = maker;
    this.vcpus = vcpus;
    this.memoryMib = memoryMib;
    images.keySet().forEach(name -> states.put(name, new State.Preparing()));
  }

  /**
   * Prepares every template that is not ready yet.
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

  @Override
  public Template require(String name) {
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

  /** Those, by their names. */
  public Map<String, Template> byName() {
    Map<String, Template> ready = new TreeMap<>();
    states.forEach((name, state) -> {
      if (state instanceof State.Ready is) {
        ready.put(name, is.template());
      }
    });
    return ready;
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
      Template template = maker.make(store.open(images.getOrDefault(name, "")), vcpus, memoryMib);
      log.atInfo()
          .setMessage("template_ready")
          .addKeyValue("name", name)
          .addKeyValue("template", template.name())
          .log();
      return new State.Ready(template);
    } catch (IOException | RuntimeException e) {
      log.atError().setMessage("template_failed").addKeyValue("name", name).setCause(e).log();
      return new State.Failed(String.valueOf(e.getMessage()));
    }
  }

  private static Refusal unavailable(String name, String what) {
    return new Refusal(ErrorReason.ERROR_REASON_NODE_UNAVAILABLE, "template " + name + " " + what);
  }
}
