package dev.cofferdam.deploy.mesh;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * What stands in each service's {@code service.properties}, and in the helper's config. Pure: the
 * keys are the services' own, where a wrong one stops the start.
 */
public record ServiceSettings(MeshOptions options) {
  /** Node's and helper's name one binary. */
  private static final String CLOUD_HYPERVISOR = "node.cloud-hypervisor.binary";

  static final String SLOT_PREFIX = "100.80.0.0/16";

  /** The service's settings, the operator's overrides last. */
  public Map<String, String> of(MeshService service, DatabaseLogin login) {
    Map<String, String> settings = new TreeMap<>(tls(service));
    settings.putAll(
        switch (service) {
          case SCHEDULER -> scheduler(login);
          case BROKER -> broker(login);
          case NODE -> node();
          case GATEWAY -> gateway();
          case EDGE -> edge();
        });
    String prefix = service.directory() + ".";
    options
        .overrides()
        .forEach((key, value) -> {
          if (key.startsWith(prefix)) {
            settings.put(key.substring(prefix.length()), value);
          }
        });
    return settings;
  }

  /** In the format of {@link java.util.Properties}. */
  public static String text(Map<String, String> settings) {
    return settings.entrySet().stream()
        .map(entry -> entry.getKey() + "=" + entry.getValue().replace("\\", "\\\\") + "\n")
        .collect(Collectors.joining());
  }

  /** The edge has no identity in the mesh: it is a client as any tenant's. */
  private Map<String, String> tls(MeshService service) {
    MeshLayout layout = options.layout();
    if (service == MeshService.EDGE) {
      return Map.of("tls.authority", layout.authorityCertificate().toString());
    }
    return Map.of(
        "tls.certificate",
        MeshIdentities.certificate(layout, service).toString(),
        "tls.key",
        MeshIdentities.key(layout, service).toString(),
        "tls.authority",
        layout.authorityCertificate().toString());
  }

  private Map<String, String> scheduler(DatabaseLogin login) {
    return Map.of(
        "listen", options.ports().schedulerAddress(),
        "admin.listen", MeshPorts.local(options.ports().schedulerAdmin()),
        "database.url", login.url(),
        "database.user", login.user(),
        "database.password-file", login.passwordFile().toString(),
        "broker.address", MeshPorts.local(options.ports().brokerMesh()));
  }

  private Map<String, String> broker(DatabaseLogin login) {
    MeshLayout layout = options.layout();
    Map<String, String> settings = new LinkedHashMap<>();
    settings.put("mesh.listen", MeshPorts.local(options.ports().brokerMesh()));
    settings.put("tenant.listen", options.ports().brokerTenantsAddress());
    settings.put("admin.listen", MeshPorts.local(options.ports().brokerAdmin()));
    settings.put("database.url", login.url());
    settings.put("database.user", login.user());
    settings.put("database.password-file", login.passwordFile().toString());
    settings.put(
        "sealed.keyset-file", layout.data(MeshService.BROKER).resolve("keyset").toString());
    settings.put("node." + MeshIdentities.INSTANCE + ".slot-prefix", SLOT_PREFIX);
    settings.put("oauth.mesh-ports", options.ports().base() + "-" + options.ports().last());
    if (options.upstreamCa().isPresent()) {
      settings.put("oauth.ca-file", layout.upstreamCa(MeshService.BROKER).toString());
    }
    if (options.hosts().isPresent()) {
      settings.put("oauth.hosts-file", layout.hosts(MeshService.BROKER).toString());
    }
    return settings;
  }

  private Map<String, String> node() {
    MeshLayout layout = options.layout();
    Map<String, String> settings = new LinkedHashMap<>();
    settings.put("listen", MeshPorts.local(options.ports().nodeMesh()));
    settings.put("admin.listen", MeshPorts.local(options.ports().nodeAdmin()));
    settings.put("scheduler.address", options.ports().schedulerAddress());
    settings.put("broker.address", MeshPorts.local(options.ports().brokerMesh()));
    settings.put("gateway.address", MeshPorts.local(options.ports().gatewayControl()));
    settings.put("helper.socket", layout.helperSocket().toString());
    settings.put("state.dir", layout.data(MeshService.NODE).toString());
    settings.put("sandbox.root", layout.sandboxes().toString());
    settings.put("template.root", templateRoot().toString());
    settings.put("image.root", imageRoot().toString());
    settings.put("image.made-root", layout.madeImages().toString());
    settings.put("image.files", layout.imageFiles().toString());
    settings.put("kernel.files", layout.kernels().toString());
    settings.put("volume.root", layout.volumes().toString());
    settings.put("template.debian", options.image().getFileName().toString());
    settings.put("slot.prefix", SLOT_PREFIX);
    return settings;
  }

  private Path templateRoot() {
    return options.cache().resolve("templates");
  }

  private Path imageRoot() {
    return options.cache().resolve("images");
  }

  private Map<String, String> gateway() {
    MeshLayout layout = options.layout();
    Map<String, String> settings = new LinkedHashMap<>();
    settings.put("control.listen", MeshPorts.local(options.ports().gatewayControl()));
    settings.put("admin.listen", MeshPorts.local(options.ports().gatewayAdmin()));
    settings.put("broker.address", MeshPorts.local(options.ports().brokerMesh()));
    settings.put("state.dir", layout.data(MeshService.GATEWAY).toString());
    settings.put("mesh.ports", options.ports().base() + "-" + options.ports().last());
    if (options.upstreamCa().isPresent()) {
      settings.put("upstream.ca-file", layout.upstreamCa(MeshService.GATEWAY).toString());
    }
    if (options.hosts().isPresent()) {
      settings.put("hosts.file", layout.hosts(MeshService.GATEWAY).toString());
    }
    return settings;
  }

  private Map<String, String> edge() {
    return Map.of(
        "listen", MeshPorts.local(options.ports().edge()),
        "admin.listen", MeshPorts.local(options.ports().edgeAdmin()),
        "ports.listen", MeshPorts.local(options.ports().edgePorts()),
        "ssh.listen", MeshPorts.local(options.ports().edgeSsh()),
        // The edge makes it, and keeps it: clients would be warned of another one.
        "ssh.host-key",
            options.layout().data(MeshService.EDGE).resolve("ssh_host_ed25519_key").toString(),
        "api.address", options.ports().schedulerAddress(),
        "broker.address", options.ports().brokerTenantsAddress());
  }

  /** The helper's config file, see node-helper. */
  public String helper(int agentUid, int agentGid) {
    MeshLayout layout = options.layout();
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("mesh", options.mesh());
    values.put("socket", layout.helperSocket());
    values.put("agent_uid", agentUid);
    values.put("agent_gid", agentGid);
    values.put("slot_prefix", SLOT_PREFIX);
    values.put("sandbox_root", layout.sandboxes());
    values.put("template_root", templateRoot());
    values.put("image_root", imageRoot());
    values.put("made_image_root", layout.madeImages());
    values.put("volume_root", layout.volumes());
    values.put("link_root", layout.run().resolve("links"));
    values.put("vmm_uid_base", options.vmmUidBase());
    values.put("max_slots", MeshOptions.SLOTS);
    values.put("qemu", "/usr/bin/qemu-system-x86_64");
    // It need not be there.
    values.put(
        "cloud_hypervisor",
        options.overrides().getOrDefault(CLOUD_HYPERVISOR, "/usr/bin/cloud-hypervisor"));
    return Json.object(values) + "\n";
  }

  /** How a service reaches its database; empty for one that has none. */
  public record DatabaseLogin(String url, String user, Path passwordFile) {
    public static final DatabaseLogin NONE = new DatabaseLogin("", "", Path.of(""));
  }
}
