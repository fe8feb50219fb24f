package dev.cofferdam.node.template;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.image.Image;
import dev.cofferdam.node.image.ImageMaker;
import dev.cofferdam.node.oci.OciImage;
import dev.cofferdam.node.template.TemplateOrder.ImageSource.Built;
import dev.cofferdam.node.template.TemplateRecords.Entry;
import dev.cofferdam.node.template.TemplateStatus.State;
import dev.cofferdam.v1.ErrorReason;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Executor;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Templates that the scheduler orders, by its ids. Each is made once and is then on disk; one at a
 * time, for each takes a boot. What was being made when a process died is made by the next one.
 * Safe for use by several threads.
 */
public final class OrderedTemplates {
  private static final Logger log = LoggerFactory.getLogger(OrderedTemplates.class);

  /** Longer than a start, which names its image on disk only once its guest has answered. */
  private static final Duration UNUSED = Duration.ofMinutes(15);

  /** With the last KiB of what a build wrote in it. */
  private static final int MAX_MESSAGE = 1500;

  /** Where the images come from. */
  public interface Sources {
    /**
     * @param owner the tenant whose it is
     * @throws IOException naming what is wrong with it
     */
    OciImage open(TemplateOrder.ImageSource source, String owner) throws IOException;

    /** The file of a kernel; empty for the built-in one. */
    Optional<Path> kernel(String name) throws IOException;

    /** The built-in image. */
    Image base() throws IOException;
  }

  /** What else refers to images here. */
  @FunctionalInterface
  public interface Users {
    /** Digests of the images of sandboxes and snapshots. */
    Set<String> images() throws IOException;
  }

  /** One order and how far it is. Guarded by the lock. */
  private static final class Held {
    private final TemplateOrder order;
    private Entry entry;
    private boolean removed;

    /** There once it is proven in this process. */
    private @Nullable Template template;

    private Held(Entry entry) {
      this.order = entry.order();
      this.entry = entry;
    }

    private State state() {
      return entry.status().state() == State.READY && template == null
          ? State.MAKING
          : entry.status().state();
    }
  }

  private final TemplateRecords records;
  private final Sources sources;
  private final ImageMaker images;
  private final TemplateMaker maker;
  private final Runnable admission;
  private final InstantSource clock;
  private final Executor executor;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final ReentrantLock making = new ReentrantLock();
  private final Map<String, Held> held = new TreeMap<>();
  private final Map<String, Instant> unused = new HashMap<>();

  /**
   * @param directory of the records
   * @param admission throws when the host has no room for a boot now
   */
  public OrderedTemplates(
      Path directory,
      Sources sources,
      ImageMaker images,
      TemplateMaker maker,
      Runnable admission,
      InstantSource clock,
      Executor executor)
      throws IOException {
    this.records = new TemplateRecords(directory);
    this.sources = sources;
    this.images = images;
    this.maker = maker;
    this.admission = admission;
    this.clock = clock;
    this.executor = executor;
    for (Entry entry : records.all()) {
      held.put(entry.order().id(), new Held(entry));
    }
  }

  /** Takes up what an earlier process had. Once, when machines can run. */
  public void resume() {
    try {
      images.removeLeftovers();
    } catch (IOException e) {
      // It is only room on the disk.
      log.atWarn().setMessage("leftovers_not_removed").setCause(e).log();
    }
    for (Held each : locked(() -> List.copyOf(held.values()))) {
      if (each.entry.status().state() != State.FAILED) {
        if (each.order.source() instanceof Built && each.entry.image().isEmpty()) {
          // Which of its steps were done nobody knows, and none is done twice.
          failed(each, new IOException("the node stopped while it was being built"));
        } else {
          executor.execute(() -> work(each));
        }
      }
    }
  }

  /**
   * Begins, or finds what was begun: an id is one order for ever.
   *
   * @param patience how long to wait for the end
   */
  public TemplateStatus make(TemplateOrder order, Duration patience) {
    return locked(() -> {
      Held mine = held.get(order.id());
      if (mine == null) {
        mine = begin(order);
      } else if (!mine.order.isSameAs(order)) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
            "template " + order.id() + " was ordered otherwise before");
      }
      return await(mine, patience);
    });
  }

  private Held begin(TemplateOrder order) {
    Held mine = new Held(new Entry(order, "", new TemplateStatus(State.MAKING, "", "")));
    try {
      records.write(mine.entry);
    } catch (IOException e) {
      Refusal refusal =
          new Refusal(
              ErrorReason.ERROR_REASON_INTERNAL,
              "template %s was not begun: %s".formatted(order.id(), e.getMessage()));
      refusal.initCause(e);
      throw refusal;
    }
    held.put(order.id(), mine);
    executor.execute(() -> work(mine));
    return mine;
  }

  private TemplateStatus await(Held mine, Duration patience) {
    long left = patience.toNanos();
    try {
      while (mine.state() == State.MAKING && !mine.removed && left > 0) {
        left = changed.awaitNanos(left);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return new TemplateStatus(
        mine.state(), mine.entry.status().digest(), mine.entry.status().message());
  }

  /** Idempotent. Its image stays as long as anything runs on it. */
  public void remove(String id) throws IOException {
    TemplateOrder.requireId(id);
    lock.lock();
    try {
      records.remove(id);
      Held gone = held.remove(id);
      if (gone != null) {
        gone.removed = true;
      }
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /**
   * The one size that it was ordered with.
   *
   * @throws Refusal TEMPLATE_NOT_FOUND, or NODE_UNAVAILABLE while it is being prepared
   */
  public Template require(String id) {
    return locked(() -> {
      Held mine = held.get(id);
      if (mine == null) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND, "template " + id + " is not on this node");
      }
      if (mine.template != null) {
        return mine.template;
      }
      throw new Refusal(
          ErrorReason.ERROR_REASON_NODE_UNAVAILABLE,
          mine.state() == State.FAILED
              ? "template %s could not be made: %s".formatted(id, mine.entry.status().message())
              : "template " + id + " is being prepared");
    });
  }

  /** Those that can be started. */
  public List<String> ready() {
    return locked(() ->
        held.values().stream()
            .filter(each -> each.template != null)
            .map(each -> each.order.id())
            .toList());
  }

  /** As {@link #ready}. */
  public List<Offer> offers() {
    return locked(() -> {
      List<Offer> offers = new ArrayList<>();
      for (Held each : held.values()) {
        if (each.template != null) {
          offers.add(new Offer(each.order.id(), each.template, each.order.owner()));
        }
      }
      return offers;
    });
  }

  /** How many are in each state. */
  public Map<State, Integer> counts() {
    return locked(() -> {
      Map<State, Integer> counts = new EnumMap<>(State.class);
      held.values().forEach(each -> counts.merge(each.state(), 1, Integer::sum));
      return counts;
    });
  }

  private void work(Held mine) {
    try {
      Entry before = locked(() -> mine.entry);
      if (!before.image().isEmpty()) {
        make(mine, () -> images.open(before.image()));
      } else if (locked(() -> !mine.removed)) {
        // Before anything that others wait for: a build takes as long as its tenant pleases.
        try (OciImage oci = sources.open(mine.order.source(), mine.order.owner())) {
          make(mine, () -> image(mine, oci));
        }
      }
    } catch (IOException | RuntimeException e) {
      failed(mine, e);
    }
  }

  /** Where the guest image comes from. */
  @FunctionalInterface
  private interface ImageSupplier {
    Image get() throws IOException;
  }

  private void make(Held mine, ImageSupplier image) throws IOException {
    making.lock();
    try {
      if (locked(() -> mine.removed || mine.template != null)) {
        return;
      }
      admission.run();
      ready(
          mine, maker.make(image.get(), mine.order.size().vcpus(), mine.order.size().memoryMib()));
    } finally {
      making.unlock();
    }
  }

  private Image image(Held mine, OciImage oci) throws IOException {
    Image image =
        images.make(
            oci, sources.base(), sources.kernel(mine.order.kernel()), mine.order.size().diskMib());
    note(
        mine,
        new Entry(
            mine.order,
            image.digest(),
            new TemplateStatus(State.MAKING, oci.digest().toString(), "")));
    return image;
  }

  private void ready(Held mine, Template template) throws IOException {
    note(
        mine,
        new Entry(
            mine.order,
            template.image().digest(),
            new TemplateStatus(State.READY, mine.entry.status().digest(), "")));
    locked(() -> {
      mine.template = template;
      changed.signalAll();
      return mine;
    });
    log.atInfo()
        .setMessage("template_ready")
        .addKeyValue("name", mine.order.id())
        .addKeyValue("template", template.name())
        .log();
  }

  private void failed(Held mine, Exception cause) {
    log.atWarn()
        .setMessage("template_failed")
        .addKeyValue("name", mine.order.id())
        .setCause(cause)
        .log();
    String message = String.valueOf(cause.getMessage());
    if (message.length() > MAX_MESSAGE) {
      message = message.substring(0, MAX_MESSAGE);
    }
    try {
      note(
          mine,
          new Entry(
              mine.order,
              mine.entry.image(),
              new TemplateStatus(State.FAILED, mine.entry.status().digest(), message)));
    } catch (IOException e) {
      log.atError()
          .setMessage("template_not_noted")
          .addKeyValue("name", mine.order.id())
          .setCause(e)
          .log();
    }
  }

  private void note(Held mine, Entry entry) throws IOException {
    lock.lock();
    try {
      mine.entry = entry;
      changed.signalAll();
      if (!mine.removed) {
        records.write(entry);
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * Removes images and what was made of them that nothing has referred to for a while. Quiet about
   * failures: it is only room on the disk, and the next call tries again.
   */
  public void sweep(Users users) {
    // One that is being made is nobody's yet.
    if (!making.tryLock()) {
      return;
    }
    try {
      Set<String> candidates = new TreeSet<>(images.present());
      locked(() -> {
        held.values().forEach(each -> candidates.remove(each.entry.image()));
        return candidates;
      });
      if (!candidates.isEmpty()) {
        candidates.removeAll(users.images());
      }
      unused.keySet().retainAll(candidates);
      Instant now = clock.instant();
      for (String image : candidates) {
        if (!now.isBefore(unused.computeIfAbsent(image, _ -> now).plus(UNUSED))) {
          maker.removeOf(image);
          images.remove(image);
          log.atInfo().setMessage("image_removed").addKeyValue("image", image).log();
        }
      }
    } catch (IOException | RuntimeException e) {
      log.atWarn().setMessage("images_not_swept").setCause(e).log();
    } finally {
      making.unlock();
    }
  }

  private <T> T locked(java.util.function.Supplier<T> work) {
    lock.lock();
    try {
      return work.get();
    } finally {
      lock.unlock();
    }
  }
}
