package dev.cofferdam.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.config.ConfigException;
import dev.cofferdam.kit.config.Settings;
import dev.cofferdam.kit.identity.TlsFiles;
import dev.cofferdam.node.image.OciConfig;
import dev.cofferdam.node.oci.Registry;
import dev.cofferdam.node.pool.PoolConfig;
import dev.cofferdam.node.pressure.PressureLimits;
import dev.cofferdam.node.probe.HypervisorSetting;
import dev.cofferdam.node.sandbox.OnPartition;
import dev.cofferdam.node.sandbox.SizeLimits;
import dev.cofferdam.node.slot.SlotPrefix;
import dev.cofferdam.node.template.PreparedSize;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NodeConfigTest {
  private static final Map<String, String> REQUIRED =
      Map.of(
          "tls.certificate", "/c.pem",
          "tls.key", "/k.pem",
          "tls.authority", "/a.pem",
          "template.debian", "0123456789abcdef");

  @Test
  void defaults() {
    assertThat(read(Map.of()))
        .isEqualTo(
            new NodeConfig(
                local(7420),
                local(7421),
                local(7420),
                tls(),
                local(7400),
                local(7410),
                local(7430),
                Path.of("/var/lib/cofferdam/run/helper.sock"),
                Path.of("/var/lib/cofferdam/node/sandboxes"),
                Path.of("/var/cache/cofferdam/templates"),
                Path.of("/var/cache/cofferdam/images"),
                1024,
                Path.of("/var/lib/cofferdam/node/volumes"),
                Map.of("debian", "0123456789abcdef"),
                new PreparedSize(1, 512),
                List.of(),
                Path.of("/var/lib/cofferdam/node/state"),
                32,
                2,
                4,
                new PoolConfig(10, 2, 1024, 1024),
                new SizeLimits(4, 4096, 65_536),
                SlotPrefix.parse("100.80.0.0/16"),
                Path.of("/usr/bin/qemu-system-x86_64"),
                new PressureLimits(512, 40, 1024, 1024, 256),
                HypervisorSetting.AUTO,
                Path.of("/usr/bin/cloud-hypervisor"),
                new OnPartition(false, Duration.ofMinutes(5)),
                new OciConfig(
                    Path.of("/var/lib/cofferdam/node/images"),
                    Path.of("/var/lib/cofferdam/node/image-files"),
                    Path.of("/var/lib/cofferdam/node/kernels"),
                    8192,
                    List.of(),
                    Optional.empty())));
  }

  /** The first gives tenants' templates their kernel and agent. */
  @Test
  void templatesAreInTheOrderOfTheirNames() {
    Map<String, String> keys = new HashMap<>(REQUIRED);
    List<String> names = List.of("a", "b", "c", "d", "e", "f", "g", "h");
    names.forEach(name -> keys.put("template." + name, "0123456789abcdef"));
    assertThat(read(keys).templates().keySet()).startsWith("a").containsSubsequence(names);
  }

  @Test
  void everyKey(@TempDir Path directory) throws IOException {
    Map<String, String> keys = new HashMap<>();
    keys.put("listen", "127.0.0.1:1");
    keys.put("admin.listen", "127.0.0.1:2");
    keys.put("advertised.address", "127.0.0.1:3");
    keys.put("scheduler.address", "127.0.0.1:4");
    keys.put("broker.address", "127.0.0.1:5");
    keys.put("gateway.address", "127.0.0.1:6");
    keys.put("helper.socket", "/h");
    keys.put("sandbox.root", "/s");
    keys.put("template.root", "/t");
    keys.put("image.root", "/i");
    keys.put("disk.reserve-mib", "77");
    keys.put("volume.root", "/v");
    keys.put("template.plan-9", "fedcba9876543210");
    keys.put("prepared.vcpus", "2");
    keys.put("prepared.memory-mib", "256");
    keys.put("prepared.sizes", "1x512, 5x1000");
    keys.put("state.dir", "/d");
    keys.put("slots.max", "9");
    keys.put("slots.spare", "3");
    keys.put("starts.parallel", "7");
    keys.put("pool.restored", "8");
    keys.put("pool.waiting", "6");
    keys.put("pool.memory-mib", "300");
    keys.put("pool.host-reserve-mib", "400");
    keys.put("vcpus.limit", "5");
    keys.put("memory.limit-mib", "1000");
    keys.put("disk.limit-mib", "2000");
    keys.put("slot.prefix", "10.1.2.0/24");
    keys.put("qemu.binary", "/q");
    keys.put("pressure.memory-mib", "1");
    keys.put("pressure.memory-stall-percent", "2");
    keys.put("pressure.disk-mib", "3");
    keys.put("pressure.pids", "4");
    keys.put("pressure.descriptors", "5");
    keys.put("hypervisor", "cloud-hypervisor");
    keys.put("cloud-hypervisor.binary", "/ch");
    keys.put("on-partition", "pause");
    keys.put("on-partition.after", "30s");
    keys.put("image.made-root", "/m");
    keys.put("image.files", "/f");
    keys.put("kernel.files", "/ks");
    keys.put("image.limit-mib", "99");
    Path credentials = Files.writeString(directory.resolve("credentials.json"), "{\"auths\": {}}");
    Files.setPosixFilePermissions(credentials, PosixFilePermissions.fromString("rw-------"));
    keys.put("registry.credentials", credentials.toString());
    keys.put("registry.allowed", "one.example, http://127.0.0.1:5000,two.example:8443");
    assertThat(read(keys))
        .isEqualTo(
            new NodeConfig(
                local(1),
                local(2),
                local(3),
                tls(),
                local(4),
                local(5),
                local(6),
                Path.of("/h"),
                Path.of("/s"),
                Path.of("/t"),
                Path.of("/i"),
                77,
                Path.of("/v"),
                Map.of("debian", "0123456789abcdef", "plan-9", "fedcba9876543210"),
                new PreparedSize(2, 256),
                List.of(new PreparedSize(1, 512), new PreparedSize(5, 1000)),
                Path.of("/d"),
                9,
                3,
                7,
                new PoolConfig(8, 6, 300, 400),
                new SizeLimits(5, 1000, 2000),
                SlotPrefix.parse("10.1.2.0/24"),
                Path.of("/q"),
                new PressureLimits(1, 2, 3, 4, 5),
                HypervisorSetting.CLOUD_HYPERVISOR,
                Path.of("/ch"),
                new OnPartition(true, Duration.ofSeconds(30)),
                new OciConfig(
                    Path.of("/m"),
                    Path.of("/f"),
                    Path.of("/ks"),
                    99,
                    List.of(
                        new Registry(true, "one.example", 443),
                        new Registry(false, "127.0.0.1", 5000),
                        new Registry(true, "two.example", 8443)),
                    Optional.of(credentials))));
  }

  @Test
  void everyProblemIsToldAtOnce() {
    assertThatThrownBy(() ->
            NodeConfig.read(
                Settings.of(
                    "node-agent",
                    "test",
                    Map.of(
                        "slots.max", "300",
                        "slot.prefix", "10.1.2.0/24",
                        "template.Debian", "x",
                        "hypervisor", "xen",
                        "on-partition", "kill",
                        "prepared.sizes", "2x1024,1x512,two,9x512,0x512,2x1024,1x8192",
                        "on-partition.after", "0s",
                        "nonsense", "1"),
                    Map.of())))
        .isInstanceOf(ConfigException.class)
        .hasMessageContainingAll(
            "tls.key is required",
            "slots.max is 300, expected at most 254",
            "template.Debian",
            "hypervisor is 'xen', expected auto, cloud-hypervisor or qemu",
            "prepared.sizes has 2x1024 twice",
            "prepared.sizes has 1x512 twice, or as prepared.*",
            "prepared.sizes has 'two', expected <vcpus>x<memory in MiB>, as 2x1024",
            "prepared.sizes has 9x512, expected at most vcpus.limit, 4, and memory.limit-mib, 4096",
            "prepared.sizes has 1x8192, expected at most vcpus.limit, 4",
            "prepared.sizes vcpus is 0, expected 1 to 64",
            "on-partition is 'kill', expected continue or pause",
            "on-partition.after is '0s', expected a duration from 1s to 2592000s",
            "nonsense is not a known key");
  }

  @Test
  void furtherSizesAreBounded() {
    assertThatThrownBy(() ->
            read(Map.of("prepared.sizes", "1x128,1x129,1x130,1x131,1x132,1x133,1x134,1x135,1x136")))
        .isInstanceOf(ConfigException.class)
        .hasMessageContaining("prepared.sizes has 9 sizes, expected at most 8");
  }

  private static NodeConfig read(Map<String, String> more) {
    Map<String, String> values = new HashMap<>(REQUIRED);
    values.putAll(more);
    return NodeConfig.read(Settings.of("node-agent", "test", values, Map.of()));
  }

  private static TlsFiles tls() {
    return new TlsFiles(Path.of("/c.pem"), Path.of("/k.pem"), Path.of("/a.pem"), "cofferdam.local");
  }

  private static InetSocketAddress local(int port) {
    return InetSocketAddress.createUnresolved("127.0.0.1", port);
  }
}
