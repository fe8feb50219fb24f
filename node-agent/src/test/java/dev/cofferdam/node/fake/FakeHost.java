package dev.cofferdam.node.fake;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.disk.SandboxFiles;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.image.Image;
import dev.cofferdam.node.journal.FileJournal;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.pool.MachinePool;
import dev.cofferdam.node.pool.PoolConfig;
import dev.cofferdam.node.pool.PoolMaker;
import dev.cofferdam.node.pool.PoolMetrics;
import dev.cofferdam.node.sandbox.Gateway;
import dev.cofferdam.node.sandbox.IdleWatch;
import dev.cofferdam.node.sandbox.OnPartition;
import dev.cofferdam.node.sandbox.PartitionWatch;
import dev.cofferdam.node.sandbox.SandboxMaker;
import dev.cofferdam.node.sandbox.SandboxMetrics;
import dev.cofferdam.node.sandbox.Sandboxes;
import dev.cofferdam.node.sandbox.SizeLimits;
import dev.cofferdam.node.sandbox.SleepParts;
import dev.cofferdam.node.sandbox.Teardown;
import dev.cofferdam.node.slot.Occupants;
import dev.cofferdam.node.slot.SlotPool;
import dev.cofferdam.node.slot.SlotPrefix;
import dev.cofferdam.node.snapshot.SnapshotStore;
import dev.cofferdam.node.template.Offer;
import dev.cofferdam.node.template.Template;
import dev.cofferdam.node.template.TemplateCatalog;
import dev.cofferdam.v1.ErrorReason;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.InstantSource;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import java.util.stream.Stream;

/** A host and the node agents that run on it, one after another. */
public final class FakeHost {
  public static final MachineSize PREPARED = new MachineSize(1, 512, 64);

  /** What the template may be prepared in too. */
  public static final MachineSize LARGER = new MachineSize(2, 1024, 64);

  /** A tenant's template. */
  public static final String TENANTS = "tp-aaaaaaaaaaaaaaaaaaaa";

  public static final int SLOTS = 4;
  public static final PoolConfig NO_POOL = new PoolConfig(0, 0, 0, 0);

  /** One process of the node agent. */
  public final class Node implements AutoCloseable {
    public final Acts acts = new Acts();
    public final FakeGuests guests = new FakeGuests(acts, kernel);
    public final Occupants occupants = new Occupants(InstantSource.system());
    public final SlotPool slots;
    public final MachinePool pool;
    public final SimpleMeterRegistry meters = new SimpleMeterRegistry();
    public final Sandboxes sandboxes;
    public final FakeHelper helper;
    private final Deque<Runnable> later = new ArrayDeque<>();
    private final FakeJournal journal;
    private final SleepParts sleep;
    private final ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();

    private Node(int spare, PoolConfig config) {
      journal =
          new FakeJournal(FileJournal.open(directory.resolve("journal"), failure -> {}), acts);
      helper =
          new FakeHelper(
              kernel, acts, root(), start -> kernel.start(start.slot(), start.sandbox(), () -> {}));
      SandboxFiles files = new SandboxFiles(root(), directory.resolve("tokens"), helper);
      FakeHypervisor hypervisor =
          new FakeHypervisor(kernel, acts, root(), directory.resolve("kept"));
      // Slots are maintained when the test says so: what happens and when is then the same in each
      // run.
      slots = new SlotPool(helper, SLOTS, spare, task -> {}, occupants);
      pool =
          new MachinePool(
              config,
              new PoolMaker(
                  helper,
                  hypervisor,
                  slots,
                  files,
                  guests,
                  InstantSource.system(),
                  new Random(2),
                  System::nanoTime),
              slots,
              FakeHost.this::offers,
              load,
              new PoolMetrics(meters),
              time::get,
              // As with the slots: when the test says so.
              (pause, task) -> later.add(task));
      Gateway gateway =
          new Gateway() {
            @Override
            public void attach(String sandbox, String slotAddress, String ticket) {
              acts.act("gateway.attach");
              kernel.attach(sandbox, slotAddress);
            }

            @Override
            public void detach(String sandbox, String slotAddress, long epoch) {
              acts.act("gateway.detach");
              kernel.detach(sandbox, slotAddress);
            }
          };
      SandboxMaker maker =
          new SandboxMaker(
              helper,
              hypervisor,
              files,
              (file, sizeMib) -> {
                acts.act("disk.format");
                SparseFile.create(file, (long) sizeMib << 20).close();
              },
              (volume, file, sizeMib) -> {
                acts.act("disk.copy");
                SparseFile.create(file, (long) sizeMib << 20).close();
              },
              guests,
              gateway,
              occupants,
              InstantSource.system(),
              new Random(1),
              executor);
      Teardown teardown =
          new Teardown(
              helper, slots, SlotPrefix.parse("100.80.0.0/16"), files, gateway, journal, executor);
      TemplateCatalog templates =
          (name, size) -> {
            if (tenants && name.equals(TENANTS)) {
              return tenantsTemplate;
            }
            if (!name.equals("debian")) {
              throw new Refusal(ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND, name);
            }
            return size.restoresFrom(LARGER) && larger ? furtherTemplate : template;
          };
      sleep =
          new SleepParts(
              helper,
              hypervisor,
              files,
              guests,
              gateway,
              occupants,
              new SnapshotStore(directory.resolve("kept")),
              journal,
              InstantSource.system(),
              new Random(2),
              executor);
      sandboxes =
          new Sandboxes(
              maker,
              teardown,
              templates,
              new SizeLimits(2, 1536, 1024),
              slots,
              pool,
              hypervisor,
              guests,
              files,
              journal,
              helper,
              sleep,
              new SandboxMetrics(meters),
              System::nanoTime,
              executor,
              2);
    }

    /** Does what was put off, and what the pool wants done now that the host has been quiet. */
    public void refill() {
      time.addAndGet(TimeUnit.SECONDS.toNanos(1));
      for (Runnable task = later.poll(); task != null; task = later.poll()) {
        task.run();
      }
      pool.maintain();
    }

    /** Whether its journal has heard of the sandbox. */
    public boolean knows(String sandbox) {
      return journal.latest().stream().anyMatch(entry -> entry.sandbox().equals(sandbox));
    }

    /** A process of the sandbox's counts up to that, in memory and on its disk. */
    public void count(String sandbox, int count) {
      kernel.memory(sandbox).counter = count;
      try (FileChannel disk =
          FileChannel.open(
              root().resolve(sandbox).resolve(MachineSpec.DISK), StandardOpenOption.WRITE)) {
        disk.write(ByteBuffer.wrap(new byte[] {(byte) count}), 1 << 20);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    /** One that looks when the test says so. */
    public IdleWatch idleWatch(LongSupplier nanos) {
      return new IdleWatch(sandboxes, sleep, nanos);
    }

    /** One that looks when the test says so. */
    public PartitionWatch partitionWatch(
        OnPartition config, BooleanSupplier registered, LongSupplier nanos) {
      return new PartitionWatch(sandboxes, config, registered, nanos, executor);
    }

    /** Dies on the spot: threads may go on, but nothing that they do happens. */
    public void kill() {
      acts.killAfter(0);
      kernel.forgetListeners();
      executor.shutdownNow();
      guests.close();
      journal.close();
    }

    @Override
    public void close() {
      kill();
    }
  }

  public final Kernel kernel = new Kernel();
  public final FakeLoad load = new FakeLoad();

  /** Of the pools, in nanoseconds. */
  public final AtomicLong time = new AtomicLong();

  /** Whether {@link #LARGER} is prepared. */
  public boolean larger;

  /** Whether {@link #TENANTS} is there. */
  public boolean tenants;

  private final Path directory;
  private final Template tenantsTemplate;
  private final Template template;
  private final Template furtherTemplate;

  public FakeHost(Path directory) {
    this.directory = directory;
    Image image = new Image("0123456789abcdef", directory.resolve("image"), "quiet", List.of(), 64);
    Path kept = directory.resolve("kept");
    this.template = template(kept.resolve("feedfeedfeedfeed"), image, PREPARED);
    this.tenantsTemplate = template(kept.resolve("beadbeadbeadbead"), image, PREPARED);
    this.furtherTemplate = template(kept.resolve("cafecafecafecafe"), image, LARGER);
  }

  private List<Offer> offers() {
    List<Offer> offers = new ArrayList<>(List.of(new Offer("debian", template, "")));
    if (larger) {
      offers.add(new Offer("debian", furtherTemplate, ""));
    }
    if (tenants) {
      offers.add(new Offer(TENANTS, tenantsTemplate, "acme"));
    }
    return offers;
  }

  /** A node agent on this host, recovered. The one before has to be dead. */
  public Node node() {
    return node(0);
  }

  public Node node(int spareSlots) {
    Node node = new Node(spareSlots, NO_POOL);
    node.sandboxes.recover(kernel);
    return node;
  }

  /** One whose pool has been filled. */
  public Node node(PoolConfig config) {
    Node node = unfilled(config);
    node.refill();
    return node;
  }

  public Node unfilled(PoolConfig config) {
    Node node = new Node(0, config);
    node.sandboxes.recover(kernel);
    return node;
  }

  /** A node agent that has not looked around yet. */
  public Node blindNode() {
    return new Node(0, NO_POOL);
  }

  public Path root() {
    return directory.resolve("sandboxes");
  }

  /** Every name in the sandboxes' directory and among the tokens. */
  public Set<String> onDisk() {
    Set<String> names = new TreeSet<>();
    for (Path place : List.of(root(), directory.resolve("tokens"))) {
      try (Stream<Path> files = Files.list(place)) {
        files.forEach(file -> names.add(String.valueOf(file.getFileName())));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return names;
  }

  private static Template template(Path directory, Image image, MachineSize size) {
    try {
      Files.createDirectories(directory);
      Path disk = directory.resolve("disk.ext4");
      SparseFile.create(disk, 64L << 20).close();
      Files.writeString(
          directory.resolve(MachineSpec.RAM), FakeHypervisor.ram(new Kernel.Memory()));
      Files.writeString(directory.resolve(MachineSpec.STATE), FakeHypervisor.STATE);
      return new Template(
          String.valueOf(directory.getFileName()),
          directory,
          image,
          size,
          SparseFile.extents(disk));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
