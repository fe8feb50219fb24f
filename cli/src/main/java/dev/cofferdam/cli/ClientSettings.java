package dev.cofferdam.cli;

import java.io.IOException;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;

/**
 * Where the mesh is and what the caller may do there, from the environment that {@code cofferdam
 * env} prints, else from the files of a mesh on this machine.
 *
 * @param api host:port of the scheduler
 * @param broker host:port of the broker's listener for tenants
 * @param ca PEM, what both are verified with
 * @param token never has {@code secrets:write}: both services see it
 * @param secretsToken sent to the broker only
 * @param operator directory of the operator's certificate, for {@code token}
 */
public record ClientSettings(
    String api,
    String broker,
    Path ca,
    Optional<String> token,
    Optional<String> secretsToken,
    Path operator) {
  static final Path STANDARD_STATE = Path.of("/var/lib/cofferdam");

  /** The scheduler's port is the mesh's first; the broker's for tenants is that much further. */
  private static final int BROKER_DISTANCE = 11;

  public static ClientSettings read(Map<String, String> environment) {
    Path state = path(environment, "COFFERDAM_STATE").orElse(STANDARD_STATE);
    String api = environment.getOrDefault("COFFERDAM_API", "");
    int base = api.isEmpty() ? portBase(state) : 0;
    return new ClientSettings(
        api.isEmpty() ? "127.0.0.1:" + base : api,
        environment.getOrDefault(
            "COFFERDAM_BROKER", api.isEmpty() ? "127.0.0.1:" + (base + BROKER_DISTANCE) : ""),
        path(environment, "COFFERDAM_CA").orElse(state.resolve("ca/ca.pem")),
        text(environment, "COFFERDAM_TOKEN", state.resolve("tokens/api")),
        text(environment, "COFFERDAM_SECRETS_TOKEN", state.resolve("tokens/secrets")),
        path(environment, "COFFERDAM_OPERATOR").orElse(state.resolve("operator")));
  }

  String requiredToken() {
    return token.orElseThrow(
        () -> new ClientException("no token: set COFFERDAM_TOKEN, see ./cofferdam env"));
  }

  String requiredSecretsToken() {
    return secretsToken.orElseThrow(
        () -> new ClientException("no token: set COFFERDAM_SECRETS_TOKEN, see ./cofferdam env"));
  }

  String requiredBroker() {
    if (broker.isEmpty()) {
      throw new ClientException("no broker: set COFFERDAM_BROKER, see ./cofferdam env");
    }
    return broker;
  }

  private static int portBase(Path state) {
    Path facts = state.resolve("mesh.properties");
    Properties values = new Properties();
    try (Reader reader = Files.newBufferedReader(facts)) {
      values.load(reader);
      return Integer.parseInt(values.getProperty("port-base", ""));
    } catch (IOException | NumberFormatException e) {
      throw new ClientException(
          "no mesh: set COFFERDAM_API, or start one with ./cofferdam up (nothing in %s)"
              .formatted(facts));
    }
  }

  private static Optional<Path> path(Map<String, String> environment, String name) {
    return Optional.ofNullable(environment.get(name)).filter(text -> !text.isEmpty()).map(Path::of);
  }

  private static Optional<String> text(
      Map<String, String> environment, String name, Path fallback) {
    String value = environment.getOrDefault(name, "");
    if (!value.isEmpty()) {
      return Optional.of(value);
    }
    try {
      return Files.isReadable(fallback)
          ? Optional.of(Files.readString(fallback).strip())
          : Optional.empty();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + fallback, e);
    }
  }

  @Override
  public String toString() {
    return "ClientSettings[api=%s, broker=%s, ca=%s]".formatted(api, broker, ca);
  }
}
