package dev.cofferdam.loadtest;

import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Long bodies both ways. Uploads are searched for placeholders in either row of the gateway's,
 * because its sandbox has a secret; answers are searched for the value where it was used.
 */
@Command(
    name = "bodies",
    mixinStandardHelpOptions = true,
    description = "Long bodies through the gateway, against direct. Needs root.")
final class BodiesCommand implements Callable<Integer> {
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

  @Option(names = "--rounds", description = "Turns of each (default: ${DEFAULT-VALUE}).")
  private int rounds = 3;

  @Option(names = "--seconds", description = "Of one turn (default: ${DEFAULT-VALUE}).")
  private int seconds = 2;

  @Option(names = "--connections", description = "Kept alive (default: ${DEFAULT-VALUE}).")
  private int connections = 2;

  @Option(
      names = "--warm-up",
      description = "Turns of each before any counts (default: ${DEFAULT-VALUE}).")
  private int warmUp = 2;

  @Option(
      names = "--only",
      split = ",",
      paramLabel = "NAME",
      description =
          "Of gateway, substituted, mitmproxy, squid, beside direct. Default: all there is.")
  private Set<String> only = Ways.NAMES;

  @Option(names = "--json", paramLabel = "FILE", description = "Write the results there too.")
  private @Nullable Path json;

  @Spec private CommandSpec spec = CommandSpec.create();

  @Override
  public Integer call() throws IOException {
    Map<String, String> environment = System.getenv();
    Path state = Path.of(Api.required(environment, "COFFERDAM_STATE"));
    Origin origin = Origin.of(environment);
    Report report =
        new Report(spec.commandLine().getOut(), "bodies", InstantSource.system().instant());
    Path file = origin.file("load.bin");
    try (Api api = Api.open(environment);
        MeshView mesh = MeshView.open(state);
        SpeakingSandbox sandbox =
            SpeakingSandbox.withSecret(api, state, origin.host(), policy(origin))) {
      Files.createDirectories(file.getParent());
      Files.write(file, content());
      for (Direction direction : directions) {
        measure(report, mesh, origin, sandbox, direction);
      }
    } finally {
      Files.deleteIfExists(file);
    }
    report.write(Optional.ofNullable(json));
    return 0;
  }

  private static EgressPolicy policy(Origin origin) {
    return EgressPolicy.newBuilder()
        .addRules(EgressRule.newBuilder().setHost(origin.host()))
        .build();
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
                  rounds,
                  seconds));
      Comparison comparison =
          new Comparison(report, contenders, Ways.DIRECT, rounds, seconds * 1000L)
              .named(name)
              .costing(mesh, Set.of(Ways.INTERCEPTED, Ways.SUBSTITUTED));
      comparison.warmUp(warmUp);
      Map<String, Double> full = comparison.full("MB/s", bytes / 1e6);
      comparison.ratio(full, Ways.SUBSTITUTED, Ways.DIRECT, Goal.atLeast(0.5));
      comparison.ratio(full, Ways.SUBSTITUTED, Ways.MITMPROXY_SUBSTITUTED, Goal.atLeast(5));
      comparison.ratio(full, Ways.INTERCEPTED, Ways.MITMPROXY, Goal.atLeast(5));
      comparison.ratio(full, Ways.SUBSTITUTED, Ways.SQUID, Goal.atLeast(1));
    }
  }
}
