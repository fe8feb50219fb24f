package dev.cofferdam.loadtest;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/**
 * Long bodies both ways. Uploads are searched for placeholders in either row of the gateway's,
 * because its sandbox has a secret; answers are searched for the value where it was used.
 */
@Command(
    name = "bodies",
    mixinStandardHelpOptions = true,
    description = "Long bodies through the gateway, against direct. Needs root.")
final class BodiesCommand extends GatewayCommand {
  /** Which way they go. */
  enum Direction {
    /** From a file that the upstream serves. */
    DOWNLOAD,
    /** To the upstream, which takes its hash and keeps nothing. */
    UPLOAD
  }

  /** What is in a file that is downloaded. */
  enum Content {
    /** Bytes that do not compress. */
    RANDOM,
    /** JSON, in which nearly each byte might belong to a value in hexadecimal or base64. */
    TEXT
  }

  private static final String LINE =
      "{\"role\": \"user\", \"text\": \"Say what changed on 2026-11-30 in release 4.2.17: see 3f2a"
          + " 9c1d, https://example.com/a?b=c\"},\n";

  @Option(names = "--bytes", description = "Of a body (default: ${DEFAULT-VALUE}).")
  private int bytes = 10_000_000;

  @Option(
      names = "--directions",
      split = ",",
      description = "Of ${COMPLETION-CANDIDATES} (default: both).")
  private Set<Direction> directions = EnumSet.allOf(Direction.class);

  @Option(
      names = "--content",
      description = "Of what is downloaded: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
  private Content content = Content.RANDOM;

  @Mixin private Turns turns = new Turns(3, 2, 2);

  @Option(names = "--connections", description = "Kept alive (default: ${DEFAULT-VALUE}).")
  private int connections = 2;

  @Option(
      names = "--only",
      split = ",",
      paramLabel = "NAME",
      description =
          "Of gateway, substituted, mitmproxy, squid, beside direct. Default: all there is.")
  private Set<String> only = Ways.NAMES;

  @Override
  void measure(Bench bench) throws IOException {
    Origin origin = bench.origin();
    Report report = bench.report();
    Path file = origin.file("load.bin");
    try (Api api = bench.api();
        MeshView mesh = bench.mesh();
        SpeakingSandbox sandbox =
            SpeakingSandbox.withSecret(api, bench.state(), origin.host(), origin.policy())) {
      Files.createDirectories(file.getParent());
      Files.write(file, content());
      for (Direction direction : directions) {
        measure(report, mesh, origin, sandbox, direction);
      }
    } finally {
      Files.deleteIfExists(file);
    }
  }

  private byte[] content() {
    byte[] made = new byte[bytes];
    switch (content) {
      case RANDOM -> new Random(1).nextBytes(made);
      case TEXT -> {
        byte[] line = LINE.getBytes(StandardCharsets.US_ASCII);
        for (int at = 0; at < bytes; at += line.length) {
          System.arraycopy(line, 0, made, at, Math.min(line.length, bytes - at));
        }
      }
    }
    return made;
  }

  private void measure(
      Report report, MeshView mesh, Origin origin, SpeakingSandbox sandbox, Direction direction)
      throws IOException {
    List<String> request =
        switch (direction) {
          case DOWNLOAD -> List.of("--path=/www/load.bin", "--connections=" + connections);
          case UPLOAD ->
              List.of("--path=/upload", "--upload=" + bytes, "--connections=" + connections);
        };
    String name = direction.name().toLowerCase(Locale.ROOT);
    try (Contenders contenders = new Contenders()) {
      new Ways(report, contenders, origin, sandbox).add(only, request);
      report.line("");
      report.line(
          "%s of %d bytes%s, %d kept-alive connections, %d turns of %d s each"
              .formatted(
                  name,
                  bytes,
                  direction == Direction.DOWNLOAD
                      ? " (" + content.name().toLowerCase(Locale.ROOT) + ")"
                      : "",
                  connections,
                  turns.rounds(),
                  turns.seconds()));
      Comparison comparison =
          new Comparison(report, contenders, Ways.DIRECT, turns.rounds(), turns.millis())
              .named(name)
              .costing(mesh, Set.of(Ways.INTERCEPTED, Ways.SUBSTITUTED));
      comparison.warmUp(turns.warmUp());
      Map<String, Double> full = comparison.full("MB/s", bytes / 1e6);
      comparison.ratio(full, Ways.SUBSTITUTED, Ways.DIRECT, Goal.atLeast(0.5));
      comparison.ratio(full, Ways.SUBSTITUTED, Ways.MITMPROXY_SUBSTITUTED, Goal.atLeast(5));
      comparison.ratio(full, Ways.INTERCEPTED, Ways.MITMPROXY, Goal.atLeast(5));
      comparison.ratio(full, Ways.SUBSTITUTED, Ways.SQUID, Goal.atLeast(1));
    }
  }
}
