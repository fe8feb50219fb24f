package dev.cofferdam.cli;

import dev.cofferdam.v1.EgressPolicy;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** The policies that come with the client, each a file that says why. */
final class ReadyPolicies {
  static final List<String> NAMES =
      List.of("none", "packages", "code-agent", "open-read-only", "learn");

  private ReadyPolicies() {}

  static EgressPolicy get(String name) {
    if (!NAMES.contains(name)) {
      throw new ClientException(
          "--policy '%s' is none of %s, and no file, which would have a dot or a slash"
              .formatted(name, String.join(", ", NAMES)));
    }
    String file = "policies/" + name + ".yaml";
    try (InputStream in = ReadyPolicies.class.getResourceAsStream(file)) {
      if (in == null) {
        throw new IllegalStateException("the client was built without " + file);
      }
      return PolicyFile.parse(new String(in.readAllBytes(), StandardCharsets.UTF_8), name);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
