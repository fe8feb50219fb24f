package dev.cofferdam.node;

import dev.cofferdam.kit.config.Settings;
import dev.cofferdam.kit.identity.TlsFiles;
import dev.cofferdam.node.image.OciConfig;
import dev.cofferdam.node.pool.PoolConfig;
import dev.cofferdam.node.pressure.PressureLimits;
import dev.cofferdam.node.probe.HypervisorSetting;
import dev.cofferdam.node.sandbox.OnPartition;
import dev.cofferdam.node.sandbox.SizeLimits;
import dev.cofferdam.node.slot.SlotPrefix;
import dev.cofferdam.node.template.PreparedSize;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * The node agent's settings.
 *
 * @param listen {@code listen}, default 127.0.0.1:7420: the mesh listener
 * @param adminListen {@code admin.listen}, default 127.0.0.1:7421: plain HTTP, keep it on loopback
 * @param advertised {@code advertised.address}, default what {@code listen} is: where the scheduler
 *     reaches this node
 * @param tls {@code tls.certificate}, {@code tls.key}, {@code tls.authority}, {@code
 *     tls.trust-domain}
 * @param scheduler {@code scheduler.address}, default 127.0.0.1:7400
 * @param broker {@code broker.address}, default 127.0.0.1:7410
 * @param gateway {@code gateway.address}, default 127.0.0.1:7430
 * @param helperSocket {@code helper.socket}, default /var/lib/cofferdam/run/helper.sock
 * @param sandboxRoot {@code sandbox.root}, default /var/lib/cofferdam/node/sandboxes: a directory a
 *     sandbox; the same in the helper's configuration, as are the next two and the slot prefix
 * @param templateRoot {@code template.root}, default /var/cache/cofferdam/templates: written by
 *     this process
 * @param imageRoot {@code image.root}, default /var/cache/cofferdam/images: read alone
 * @param diskReserveMib {@code disk.reserve-mib}, default 1024, 0 to 16,777,216: of the file system
 *     with the sandboxes, kept free for everything else
 * @param volumeRoot {@code volume.root}, default /var/lib/cofferdam/node/volumes: a file a volume;
 *     the same in the helper's configuration
 * @param templates {@code template.<name>}, a digest under the image root each; at least one.
 *     {@code root} is no name. The first by name also gives tenants' templates kernel and agent
 * @param prepared {@code prepared.vcpus}, default 1, 1 to 64, and {@code prepared.memory-mib},
 *     default 512, 128 to 65,536: the size that every template is prepared in, so that its
 *     sandboxes are restored, not booted; its disk is the image's
 * @param preparedFurther {@code prepared.sizes}, default none: further ones, {@code 2x1024} with
 *     commas between them, at most 8, each within {@code vcpus.limit} and {@code memory.limit-mib}.
 *     Each costs a boot when it is new and the memory of a booted guest for as long as the node
 *     runs, and has its share of the pool
 * @param stateDirectory {@code state.dir}, default /var/lib/cofferdam/node/state: journal and
 *     guests' tokens, this user's alone
 * @param slotsMax {@code slots.max}, default 32, 1 to 65,534: sandboxes at a time, spares included
 * @param slotsSpare {@code slots.spare}, default 2, 0 to 64: slots made ahead; 0 lets each create
 *     pay for its own
 * @param parallelStarts {@code starts.parallel}, default 4, 1 to 64: starts worked on at a time,
 *     others wait
 * @param pool machines made ahead. {@code pool.restored}, default 10, 0 to 64: restored and paused,
 *     of one template, at most; {@code pool.waiting}, default 2, 0 to 64: VMM processes that hold
 *     no guest yet, likewise; as many as the claims of the last minutes ask for. {@code
 *     pool.memory-mib}, default 1024, 0 to 1,048,576: what all of them may use together; {@code
 *     pool.host-reserve-mib}, default 1024: what the host is to have available beside them; more
 *     than {@code pressure} wants of it, so that the pool makes room before a start is refused
 * @param limits {@code vcpus.limit}, default 4, 1 to 64, to one sandbox; {@code memory.limit-mib},
 *     default 4096, and {@code disk.limit-mib}, default 65,536, to all together
 * @param slotPrefix {@code slot.prefix}, default 100.80.0.0/16
 * @param qemu {@code qemu.binary}, default /usr/bin/qemu-system-x86_64: asked for its version; the
 *     helper starts its own
 * @param pressure {@code pressure.*}, see {@link PressureLimits}
 * @param hypervisor {@code hypervisor}, default auto: Cloud Hypervisor where it boots a guest, else
 *     QEMU; cloud-hypervisor or qemu insist on one. Sandboxes that live keep theirs
 * @param cloudHypervisor {@code cloud-hypervisor.binary}, default /usr/bin/cloud-hypervisor: the
 *     same in the helper's configuration
 * @param onPartition {@code on-partition} and {@code on-partition.after}, see {@link OnPartition}
 * @param oci {@code image.made-root} and others, see {@link OciConfig}
 */
public record NodeConfig(
    InetSocketAddress listen,
    InetSocketAddress adminListen,
    InetSocketAddress advertised,
    TlsFiles tls,
    InetSocketAddress scheduler,
    InetSocketAddress broker,
    InetSocketAddress gateway,
    Path helperSocket,
    Path sandboxRoot,
    Path templateRoot,
    Path imageRoot,
    int diskReserveMib,
    Path volumeRoot,
    Map<String, String> templates,
    PreparedSize prepared,
    List<PreparedSize> preparedFurther,
    Path stateDirectory,
    int slotsMax,
    int slotsSpare,
    int parallelStarts,
    PoolConfig pool,
    SizeLimits limits,
    SlotPrefix slotPrefix,
    Path qemu,
    PressureLimits pressure,
    HypervisorSetting hypervisor,
    Path cloudHypervisor,
    OnPartition onPartition,
    OciConfig oci) {
  private static final String TEMPLATE = "template.";
  private static final String ROOT = "root";
  private static final String PREPARED_SIZES = "prepared.sizes";
  private static final int MAX_PREPARED_SIZES = 8;

  public NodeConfig {
    // In the order of their names: which one is the first must not change with each start.
    templates = Collections.unmodifiableSortedMap(new TreeMap<>(templates));
    preparedFurther = List.copyOf(preparedFurther);
  }

  /**
   * @throws dev.cofferdam.kit.config.ConfigException with every problem
   */
  public static NodeConfig read(Settings settings) {
    String listen = settings.text("listen", "127.0.0.1:7420");
    NodeConfig config =
        new NodeConfig(
            settings.address("listen", "127.0.0.1:7420"),
            settings.address("admin.listen", "127.0.0.1:7421"),
            settings.address("advertised.address", listen),
            TlsFiles.read(settings),
            settings.address("scheduler.address", "127.0.0.1:7400"),
            settings.address("broker.address", "127.0.0.1:7410"),
            settings.address("gateway.address", "127.0.0.1:7430"),
            settings.path("helper.socket", Path.of("/var/lib/cofferdam/run/helper.sock")),
            settings.path("sandbox.root", Path.of("/var/lib/cofferdam/node/sandboxes")),
            settings.path("template.root", Path.of("/var/cache/cofferdam/templates")),
            settings.path("image.root", Path.of("/var/cache/cofferdam/images")),
            settings.integer("disk.reserve-mib", 1024, 0, 1 << 24),
            settings.path("volume.root", Path.of("/var/lib/cofferdam/node/volumes")),
            templates(settings),
            new PreparedSize(
                settings.integer("prepared.vcpus", 1, 1, 64),
                settings.integer("prepared.memory-mib", 512, 128, 65_536)),
            preparedFurther(settings),
            settings.path("state.dir", Path.of("/var/lib/cofferdam/node/state")),
            settings.integer("slots.max", 32, 1, 65_534),
            settings.integer("slots.spare", 2, 0, 64),
            settings.integer("starts.parallel", 4, 1, 64),
            new PoolConfig(
                settings.integer("pool.restored", 10, 0, 64),
                settings.integer("pool.waiting", 2, 0, 64),
                settings.integer("pool.memory-mib", 1024, 0, 1 << 20),
                settings.integer("pool.host-reserve-mib", 1024, 0, 1 << 20)),
            new SizeLimits(
                settings.integer("vcpus.limit", 4, 1, 64),
                settings.integer("memory.limit-mib", 4096, 128, 1 << 20),
                settings.integer("disk.limit-mib", 65_536, 64, 1 << 24)),
            prefix(settings),
            settings.path("qemu.binary", Path.of("/usr/bin/qemu-system-x86_64")),
            PressureLimits.read(settings),
            hypervisor(settings),
            settings.path("cloud-hypervisor.binary", Path.of("/usr/bin/cloud-hypervisor")),
            OnPartition.read(settings),
            OciConfig.read(settings));
    if (config.slotsSpare() > config.slotsMax()) {
      settings.problem(
          "slots.spare",
          "is %d, expected at most slots.max, %d"
              .formatted(config.slotsSpare(), config.slotsMax()));
    }
    if (config.slotsMax() > config.slotPrefix().capacity()) {
      settings.problem(
          "slots.max",
          "is %d, expected at most %d, which is what %s holds"
              .formatted(config.slotsMax(), config.slotPrefix().capacity(), config.slotPrefix()));
    }
    requirePrepared(settings, config);
    settings.finish();
    return config;
  }

  private static List<PreparedSize> preparedFurther(Settings settings) {
    List<PreparedSize> sizes = new ArrayList<>();
    for (String each : settings.list(PREPARED_SIZES, List.of())) {
      try {
        sizes.add(PreparedSize.parse(each));
      } catch (IllegalArgumentException e) {
        settings.problem(PREPARED_SIZES, String.valueOf(e.getMessage()));
      }
    }
    return sizes;
  }

  private static void requirePrepared(Settings settings, NodeConfig config) {
    List<PreparedSize> further = config.preparedFurther();
    if (further.size() > MAX_PREPARED_SIZES) {
      settings.problem(
          PREPARED_SIZES,
          "has %d sizes, expected at most %d".formatted(further.size(), MAX_PREPARED_SIZES));
    }
    Set<PreparedSize> seen = new HashSet<>(Set.of(config.prepared()));
    for (PreparedSize size : further) {
      if (!seen.add(size)) {
        settings.problem(PREPARED_SIZES, "has " + size + " twice, or as prepared.*");
      }
      if (size.vcpus() > config.limits().vcpus()
          || size.memoryMib() > config.limits().memoryMib()) {
        settings.problem(
            PREPARED_SIZES,
            "has %s, expected at most vcpus.limit, %d, and memory.limit-mib, %d"
                .formatted(size, config.limits().vcpus(), config.limits().memoryMib()));
      }
    }
  }

  private static Map<String, String> templates(Settings settings) {
    Map<String, String> templates = new TreeMap<>(settings.withPrefix(TEMPLATE));
    templates.remove(ROOT);
    if (templates.isEmpty()) {
      settings.problem(TEMPLATE + "<name>", "is required: the digest of an image under image.root");
    }
    templates.forEach((name, digest) -> {
      if (!name.matches("[a-z0-9][a-z0-9.-]{0,62}")) {
        settings.problem(
            TEMPLATE + name, "is no name, expected lower case letters, digits, '-' and '.'");
      }
      if (!digest.matches("[0-9a-f]{16,64}")) {
        settings.problem(TEMPLATE + name, "is '" + digest + "', expected a digest in hex");
      }
    });
    return templates;
  }

  private static HypervisorSetting hypervisor(Settings settings) {
    String text = settings.text("hypervisor", HypervisorSetting.AUTO.label());
    return HypervisorSetting.of(text)
        .orElseGet(() -> {
          settings.problem(
              "hypervisor", "is '" + text + "', expected auto, cloud-hypervisor or qemu");
          return HypervisorSetting.AUTO;
        });
  }

  private static SlotPrefix prefix(Settings settings) {
    String text = settings.text("slot.prefix", "100.80.0.0/16");
    try {
      return SlotPrefix.parse(text);
    } catch (IllegalArgumentException e) {
      settings.problem("slot.prefix", String.valueOf(e.getMessage()));
      return SlotPrefix.parse("100.80.0.0/16");
    }
  }
}
