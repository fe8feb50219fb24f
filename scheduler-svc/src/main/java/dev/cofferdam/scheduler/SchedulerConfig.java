package dev.cofferdam.scheduler;

import dev.cofferdam.kit.config.Settings;
import dev.cofferdam.kit.identity.TlsFiles;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;

/**
 * The scheduler's settings.
 *
 * @param listen {@code listen}: host:port of the one gRPC listener, for tenants (token), operators
 *     and nodes (certificate). Default 127.0.0.1:7400
 * @param adminListen {@code admin.listen}: host:port of metrics and health, plain HTTP, hence
 *     loopback. Default 127.0.0.1:7401
 * @param tls {@code tls.certificate}, {@code tls.key}, {@code tls.authority}: PEM files, required;
 *     {@code tls.trust-domain}: default cofferdam.local
 * @param databaseUrl {@code database.url}: {@code jdbc:postgresql://host:port/database}, required
 * @param databaseUser {@code database.user}: the role that owns the database. Default
 *     cofferdam_scheduler
 * @param databasePasswordFile {@code database.password-file}: holds the role's password, required
 * @param databasePoolSize {@code database.pool-size}: connections, 1 to 100. Default 8
 * @param broker {@code broker.address}: host:port of the broker's mesh listener. Default
 *     127.0.0.1:7410
 * @param quotaSandboxes {@code quota.sandboxes}: sandboxes that a tenant may have at a time,
 *     whether they start, run, are paused or suspended, 1 to 1,000,000. Default 50
 * @param quotaSnapshots {@code quota.snapshots}: snapshots that a tenant may keep, 1 to 1,000,000.
 *     Default 50
 * @param quotaTemplates {@code quota.templates}: templates that a tenant may have, 1 to 1,000,000.
 *     Default 20
 * @param quotaVolumes {@code quota.volumes}: volumes that a tenant may keep, 1 to 1,000,000.
 *     Default 50
 * @param defaultTemplate {@code template.default}: of a create that names none. Default debian
 * @param defaultSize {@code template.default-vcpus}: 1 to 1,024, default 1; {@code
 *     template.default-memory-mib}: MiB, 128 to 16,777,216, default 512; {@code
 *     template.default-disk-mib}: MiB, 64 to 16,777,216, default 2048
 * @param heartbeatInterval {@code heartbeat.interval}: how often a node says that it is there, 100
 *     ms to 1 min. Default 2 s
 * @param nodeTimeout {@code node.timeout}: silence after which it counts as gone, 500 ms to 10 min,
 *     at least twice the interval. Default 10 s
 * @param nodeLostAfter {@code node.lost-after}: so long without a node's stream, and the secrets of
 *     its sandboxes are out of use until it is back, 1 s to 30 d, at least {@code node.timeout}.
 *     Default 5 min
 * @param createTimeout {@code create.timeout}: for a whole create, 1 s to 10 min. Default 60 s
 * @param retention {@code record.retention}: how long ended sandboxes and events are kept, 2 d to
 *     3650 d. Default 30 d
 */
public record SchedulerConfig(
    InetSocketAddress listen,
    InetSocketAddress adminListen,
    TlsFiles tls,
    String databaseUrl,
    String databaseUser,
    Path databasePasswordFile,
    int databasePoolSize,
    InetSocketAddress broker,
    int quotaSandboxes,
    int quotaSnapshots,
    int quotaTemplates,
    int quotaVolumes,
    String defaultTemplate,
    SandboxSize defaultSize,
    Duration heartbeatInterval,
    Duration nodeTimeout,
    Duration nodeLostAfter,
    Duration createTimeout,
    Duration retention) {
  private static final int MAX_MIB = 1 << 24;

  /** Throws a ConfigException that lists everything that is wrong. */
  public static SchedulerConfig read(Settings settings) {
    InetSocketAddress listen = settings.address("listen", "127.0.0.1:7400");
    InetSocketAddress adminListen = settings.address("admin.listen", "127.0.0.1:7401");
    TlsFiles tls = TlsFiles.read(settings);
    String url = settings.requiredText("database.url");
    String user = settings.text("database.user", "cofferdam_scheduler");
    Path passwordFile = settings.requiredPath("database.password-file");
    int pool = settings.integer("database.pool-size", 8, 1, 100);
    InetSocketAddress broker = settings.address("broker.address", "127.0.0.1:7410");
    int quota = settings.integer("quota.sandboxes", 50, 1, 1_000_000);
    int snapshots = settings.integer("quota.snapshots", 50, 1, 1_000_000);
    int templates = settings.integer("quota.templates", 20, 1, 1_000_000);
    int volumes = settings.integer("quota.volumes", 50, 1, 1_000_000);
    String template = settings.text("template.default", "debian");
    int vcpus = settings.integer("template.default-vcpus", 1, SandboxSize.MIN_VCPUS, 1024);
    int memory =
        settings.integer("template.default-memory-mib", 512, SandboxSize.MIN_MEMORY_MIB, MAX_MIB);
    int disk =
        settings.integer("template.default-disk-mib", 2048, SandboxSize.MIN_DISK_MIB, MAX_MIB);
    Duration heartbeat =
        settings.duration(
            "heartbeat.interval",
            Duration.ofSeconds(2),
            Duration.ofMillis(100),
            Duration.ofMinutes(1));
    Duration nodeTimeout =
        settings.duration(
            "node.timeout", Duration.ofSeconds(10), Duration.ofMillis(500), Duration.ofMinutes(10));
    Duration lostAfter =
        settings.duration(
            "node.lost-after", Duration.ofMinutes(5), Duration.ofSeconds(1), Duration.ofDays(30));
    Duration create =
        settings.duration(
            "create.timeout",
            Duration.ofSeconds(60),
            Duration.ofSeconds(1),
            Duration.ofMinutes(10));
    Duration retention =
        settings.duration(
            "record.retention", Duration.ofDays(30), Duration.ofDays(2), Duration.ofDays(3650));
    if (!url.isEmpty() && !url.startsWith("jdbc:postgresql:")) {
      settings.problem("database.url", "is '" + url + "', expected jdbc:postgresql://…");
    }
    if (nodeTimeout.compareTo(heartbeat.multipliedBy(2)) < 0) {
      settings.problem("node.timeout", "is less than twice heartbeat.interval");
    }
    if (lostAfter.compareTo(nodeTimeout) < 0) {
      settings.problem("node.lost-after", "is less than node.timeout");
    }
    settings.finish();
    return new SchedulerConfig(
        listen,
        adminListen,
        tls,
        url,
        user,
        passwordFile,
        pool,
        broker,
        quota,
        snapshots,
        templates,
        volumes,
        template,
        new SandboxSize(vcpus, memory, disk),
        heartbeat,
        nodeTimeout,
        lostAfter,
        create,
        retention);
  }
}
