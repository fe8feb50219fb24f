package dev.cofferdam.loadtest;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** Squid with ssl-bump, from Debian's package {@code squid-openssl}. One process, as it comes. */
final class Squid {
  private static final Path PROGRAM = Path.of("/usr/sbin/squid");
  private static final Path CERTIFICATES = Path.of("/usr/lib/squid/security_file_certgen");

  /** Whom Debian's Squid runs as. */
  private static final String USER = "proxy";

  private Squid() {}

  /**
   * Empty where it is not installed, or built without OpenSSL.
   *
   * @param upstreamAuthority what it trusts
   */
  static Optional<ProxyPeer> start(Path upstreamAuthority) throws IOException {
    if (!Files.isExecutable(PROGRAM) || !Files.isExecutable(CERTIFICATES)) {
      return Optional.empty();
    }
    Path directory = Files.createTempDirectory("cofferdam-squid");
    InetSocketAddress address = ProxyPeer.freeAddress();
    Path key = directory.resolve("key.pem");
    Path authority = directory.resolve("ca.pem");
    Path trusted = directory.resolve("upstream.pem");
    Path certificates = directory.resolve("certificates");
    Path configuration = directory.resolve("squid.conf");
    Files.copy(upstreamAuthority, trusted);
    run(
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=Squid of a load test",
        "-keyout",
        key.toString(),
        "-out",
        authority.toString());
    run(CERTIFICATES.toString(), "-c", "-s", certificates.toString(), "-M", "4MB");
    Files.writeString(
        configuration,
        """
        http_port %s:%d ssl-bump tls-cert=%s tls-key=%s generate-host-certificates=on dynamic_cert_mem_cache_size=4MB
        sslcrtd_program %s -s %s -M 4MB
        acl hello at_step SslBump1
        ssl_bump peek hello
        ssl_bump bump all
        tls_outgoing_options cafile=%s
        http_access allow all
        cache deny all
        access_log none
        cache_log %s
        pid_filename none
        coredump_dir %s
        cache_effective_user %s
        """
            .formatted(
                address.getHostString(),
                address.getPort(),
                authority,
                key,
                CERTIFICATES,
                certificates,
                trusted,
                directory.resolve("cache.log"),
                directory,
                USER));
    run("chown", "-R", USER + ":" + USER, directory.toString());
    return Optional.of(
        ProxyPeer.start(
            directory,
            List.of(PROGRAM.toString(), "-N", "-f", configuration.toString()),
            Map.of(),
            address,
            directory.resolve("log"),
            authority));
  }

  private static void run(String... command) throws IOException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    try {
      if (process.waitFor() != 0) {
        throw new IOException(Stream.of(command).toList() + " failed: " + output.strip());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }
}
