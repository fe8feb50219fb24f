package dev.cofferdam.edge;

import dev.cofferdam.edge.api.EdgeServer;
import dev.cofferdam.edge.port.PortSettings;
import dev.cofferdam.edge.session.SessionLimits;
import dev.cofferdam.edge.ssh.SshSettings;
import dev.cofferdam.kit.config.Settings;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/**
 * Everything an operator can set.
 *
 * @param listen {@code listen}: host:port for the SDKs, plain HTTP. Default 127.0.0.1:7480; on
 *     another address than loopback values cross the network in clear.
 * @param adminListen {@code admin.listen}: host:port for metrics and health, plain HTTP. Default
 *     127.0.0.1:7481.
 * @param api {@code api.address}: host:port of the public API. Default 127.0.0.1:7400.
 * @param broker {@code broker.address}: host:port of the broker's listener for tenants. Default
 *     127.0.0.2:7411.
 * @param authority {@code tls.authority}: absolute path of the PEM file that both are verified
 *     with. Required.
 * @param region {@code region}: three letters, of sandboxes whose create names none. Default ord,
 *     which the JavaScript SDK takes for one that exists.
 * @param unnamedMemoryMib {@code memory.unnamed-mib}: both SDKs send 1280 MiB where their caller
 *     names no size, and that many gets the template's size, for which machines are made ahead. 0
 *     to 16777216, default 1280; 0 gives 1280 MiB to who asks for them, and to who does not.
 * @param lease {@code session.lease}: how long a sandbox that ends with its socket outlives an edge
 *     that is gone, 10s to 1h. Default 5m.
 * @param deno {@code deno.program}: absolute path of a Deno, a program of Linux for the guests'
 *     processors, that sandboxes get which have none when they first need one. None by default.
 * @param limits {@code limits.config-bytes}: of a request's head, 16384 to 4194304, default
 *     1048576; {@code limits.head-timeout}: for a head to be whole, 1s to 10m, default 15s; {@code
 *     limits.sessions}: 1 to 65536, default 2048; {@code limits.page-size}: sandboxes of one page
 *     of a list, 1 to 1000, default 100; {@code limits.memory-bytes}: that all sessions together
 *     hold of what their clients have sent and of what they are sent, 1048576 to 1073741824,
 *     default 100663296, for a heap of 256 MiB. A call counts three times, as it is held. Over it
 *     the session that holds most ends, of the token whose sessions hold most. {@code
 *     limits.message-bytes}: of one message of a client, 65536 to 67108864, default 16777216;
 *     {@code limits.calls}: of one session at a time, 1 to 65536, default 4096; {@code
 *     limits.streams}: of one session's client at a time, 1 to 65536, default 1024; {@code
 *     limits.input-bytes}: of one session's client's streams that nothing has taken yet, 65536 to
 *     1073741824, default 16777216; {@code limits.output-bytes}: on their way to one client, 65536
 *     to 1073741824, default 1048576; {@code limits.stall}: how long a client may read nothing, or
 *     a stream of its may hold up the others, 1s to 10m, default 15s: the Python SDK gives a socket
 *     up that answers nothing for 20.
 * @param ports of ports' URLs. {@code ports.listen}: host:port. Default 127.0.0.1:7482; {@code
 *     ports.tls.certificate}, {@code ports.tls.key}: absolute paths of PEM files, read again when
 *     they change; both or none, and none is plain HTTP; {@code ports.domain}: what stands behind
 *     {@code <port>-<sandbox>.}, default localhost; {@code ports.public-port}: in the names that
 *     SDKs are given for ports that they expose, where a proxy stands before the edge; 0 to 65535,
 *     default 0, its own; {@code ports.head-bytes}: of a request's and of an answer's head, 4096 to
 *     65536, default 32768; {@code ports.connections}: of clients at a time, 1 to 65536, default
 *     4096; {@code ports.per-sandbox}: requests of a sandbox at a time, 1 to 65536, default 256;
 *     {@code ports.per-token}: requests with one token at a time, 1 to 65536, default 1024; {@code
 *     ports.head-timeout}: from a connection's begin, or a head's first byte, to the head's end, 1s
 *     to 10m, default 15s; {@code ports.keep-alive}: how long a connection may be without a
 *     request, 1s to 1h, default 60s; {@code ports.connect}: for a sandbox to wake, and its port to
 *     take the connection, 1s to 10m, default 2m; {@code ports.stall}: how long a client may send
 *     nothing of a body that is not whole, or read nothing of an answer, 1s to 1h, default 60s;
 *     {@code ports.idle}: how long a request may be without a byte either way, 1s to 24h, default
 *     1h.
 * @param ssh of SSH into sandboxes. {@code ssh.host-key}: absolute path of the server's own Ed25519
 *     key as OpenSSH writes it, made where there is none; without this setting SSH is not served;
 *     {@code ssh.listen}: host:port. Default 127.0.0.1:7483; {@code ssh.public-host}, {@code
 *     ssh.public-port}: what {@code exposeSsh} answers; default localhost and the listener's own
 *     port, which 0 says too; {@code ssh.connections}: at a time, those that have not got in among
 *     them, 1 to 65536, default 128; {@code ssh.channels}: of one connection at a time, 1 to 1024,
 *     default 16; {@code ssh.auth-timeout}: to get in, 1s to 10m, default 15s; {@code ssh.idle}:
 *     how long a connection may be without a byte either way, 10s to 24h, default 1h.
 */
public record EdgeConfig(
    InetSocketAddress listen,
    InetSocketAddress adminListen,
    InetSocketAddress api,
    InetSocketAddress broker,
    Path authority,
    String region,
    int unnamedMemoryMib,
    Duration lease,
    Optional<Path> deno,
    EdgeServer.Limits limits,
    PortSettings ports,
    SshSettings ssh) {
  private static final int MAX = 1 << 30;

  /**
   * @throws dev.cofferdam.kit.config.ConfigException naming every problem
   */
  public static EdgeConfig read(Settings settings) {
    InetSocketAddress listen = settings.address("listen", "127.0.0.1:7480");
    InetSocketAddress admin = settings.address("admin.listen", "127.0.0.1:7481");
    InetSocketAddress api = settings.address("api.address", "127.0.0.1:7400");
    InetSocketAddress broker = settings.address("broker.address", "127.0.0.2:7411");
    Path authority = settings.requiredPath("tls.authority");
    String region = settings.text("region", "ord");
    if (!region.matches("[a-z]{3}")) {
      settings.problem("region", "is '" + region + "', expected three letters");
    }
    int memory = settings.integer("memory.unnamed-mib", 1280, 0, 1 << 24);
    Duration lease =
        settings.duration(
            "session.lease", Duration.ofMinutes(5), Duration.ofSeconds(10), Duration.ofHours(1));
    Optional<Path> deno = settings.optionalPath("deno.program");
    EdgeServer.Limits limits = limits(settings);
    PortSettings ports = ports(settings);
    SshSettings ssh = ssh(settings);
    settings.finish();
    return new EdgeConfig(
        listen, admin, api, broker, authority, region, memory, lease, deno, limits, ports, ssh);
  }

  private static SshSettings ssh(Settings settings) {
    String host = settings.text("ssh.public-host", "localhost");
    if (!host.matches("[A-Za-z0-9.:-]{1,253}")) {
      settings.problem("ssh.public-host", "is '" + host + "', expected a host name or an address");
    }
    return new SshSettings(
        settings.address("ssh.listen", "127.0.0.1:7483"),
        settings.optionalPath("ssh.host-key"),
        host,
        settings.integer("ssh.public-port", 0, 0, 65535),
        settings.integer("ssh.connections", 128, 1, 65536),
        settings.integer("ssh.channels", 16, 1, 1024),
        settings.duration(
            "ssh.auth-timeout",
            Duration.ofSeconds(15),
            Duration.ofSeconds(1),
            Duration.ofMinutes(10)),
        settings.duration(
            "ssh.idle", Duration.ofHours(1), Duration.ofSeconds(10), Duration.ofHours(24)));
  }

  private static PortSettings ports(Settings settings) {
    Duration second = Duration.ofSeconds(1);
    Duration hour = Duration.ofHours(1);
    String domain = settings.text("ports.domain", "localhost");
    if (!domain.matches("[a-z0-9-]{1,63}(\\.[a-z0-9-]{1,63}){0,6}")) {
      settings.problem("ports.domain", "is '" + domain + "', expected a domain in lower case");
    }
    Optional<Path> certificate = settings.optionalPath("ports.tls.certificate");
    Optional<Path> key = settings.optionalPath("ports.tls.key");
    if (certificate.isPresent() != key.isPresent()) {
      settings.problem("ports.tls.key", "goes with ports.tls.certificate, expected both or none");
    }
    return new PortSettings(
        settings.address("ports.listen", "127.0.0.1:7482"),
        certificate.flatMap(file -> key.map(own -> new PortSettings.TlsFiles(file, own))),
        domain,
        settings.integer("ports.public-port", 0, 0, 65535),
        settings.integer("ports.head-bytes", 32 << 10, 4 << 10, 64 << 10),
        settings.integer("ports.connections", 4096, 1, 65536),
        settings.integer("ports.per-sandbox", 256, 1, 65536),
        settings.integer("ports.per-token", 1024, 1, 65536),
        settings.duration(
            "ports.head-timeout", Duration.ofSeconds(15), second, Duration.ofMinutes(10)),
        settings.duration("ports.keep-alive", Duration.ofMinutes(1), second, hour),
        settings.duration("ports.connect", Duration.ofMinutes(2), second, Duration.ofMinutes(10)),
        settings.duration("ports.stall", Duration.ofMinutes(1), second, hour),
        settings.duration("ports.idle", hour, second, Duration.ofHours(24)));
  }

  private static EdgeServer.Limits limits(Settings settings) {
    return new EdgeServer.Limits(
        settings.integer("limits.config-bytes", 1 << 20, 16 << 10, 4 << 20),
        settings.duration(
            "limits.head-timeout",
            Duration.ofSeconds(15),
            Duration.ofSeconds(1),
            Duration.ofMinutes(10)),
        settings.integer("limits.sessions", 2048, 1, 65536),
        settings.integer("limits.page-size", 100, 1, 1000),
        settings.integer("limits.memory-bytes", 96 << 20, 1 << 20, MAX),
        new SessionLimits(
            settings.integer("limits.message-bytes", 16 << 20, 64 << 10, 64 << 20),
            settings.integer("limits.calls", 4096, 1, 65536),
            settings.integer("limits.streams", 1024, 1, 65536),
            settings.integer("limits.input-bytes", 16 << 20, 64 << 10, MAX),
            settings.integer("limits.output-bytes", 1 << 20, 64 << 10, MAX),
            settings.duration(
                "limits.stall",
                Duration.ofSeconds(15),
                Duration.ofSeconds(1),
                Duration.ofMinutes(10))));
  }
}
