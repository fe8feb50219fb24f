package dev.cofferdam.edge.sandbox;

import com.fasterxml.jackson.databind.JsonNode;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.edge.protocol.Json;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.edge.volume.Snapshots;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a create asks for, as either SDK says it.
 *
 * @param lifetime empty: as long as the socket that created it
 * @param memoryMib 0: the template's
 * @param allowNet empty: no list was given
 * @param secrets by the environment variable, in the order in which their values stood
 * @param volumes by the directory that they are mounted at
 * @param root the volume or snapshot that it boots from; empty: a template
 * @param port that is for everybody, 1 to 65535 and not the agent's
 * @param ssh whether somebody is to get in over SSH; where that is served, those with a key may
 */
public record CreateOptions(
    Optional<Duration> lifetime,
    int memoryMib,
    Map<String, String> env,
    Map<String, String> labels,
    Optional<List<String>> allowNet,
    Map<String, SecretHosts> secrets,
    Map<String, String> volumes,
    Optional<String> root,
    Optional<String> region,
    Optional<Integer> port,
    boolean ssh) {
  /** Labels of ours begin so. */
  static final String RESERVED = "deno.";

  private static final Set<String> KNOWN =
      Set.of(
          "stop_at_ms",
          "timeout",
          "memory_mb",
          "debug",
          "region",
          "env",
          "labels",
          "root",
          "volumes",
          "allow_net",
          "secrets",
          "ssh",
          "port");

  private static final int MAX_PORT = 65535;
  private static final int AGENTS_PORT = 1024;
  private static final Pattern TIMEOUT = Pattern.compile("([0-9]{1,6})(s|m)");
  private static final Pattern REGION = Pattern.compile("[a-z]{3}[0-9]?");

  public CreateOptions {
    env = Map.copyOf(env);
    labels = Map.copyOf(labels);
    volumes = Map.copyOf(volumes);
    secrets = new LinkedHashMap<>(secrets);
  }

  /** Where a secret may go. */
  public record SecretHosts(List<String> hosts) {
    public SecretHosts {
      hosts = List.copyOf(hosts);
    }
  }

  /**
   * @param text of which the secrets' values were taken out, each of them {@code ""}
   * @param values how many were taken
   * @param unnamedMemory what both SDKs send where their caller names no size, in MiB
   */
  public static CreateOptions parse(String text, int values, Instant now, int unnamedMemory)
      throws HttpError {
    JsonNode json =
        Json.WHOLE
            .read(text)
            .filter(JsonNode::isObject)
            .orElseThrow(() ->
                HttpError.invalid("INVALID_CONFIGURATION", "the configuration is no JSON object"));
    try {
      return read(json, values, now, unnamedMemory);
    } catch (CallError e) {
      throw HttpError.invalid("INVALID_CONFIGURATION", String.valueOf(e.getMessage()));
    }
  }

  private static CreateOptions read(JsonNode json, int values, Instant now, int unnamedMemory)
      throws CallError, HttpError {
    Set<String> unknown = new TreeSet<>();
    for (Iterator<String> names = json.fieldNames(); names.hasNext(); ) {
      String name = names.next();
      if (!KNOWN.contains(name)) {
        unknown.add(name.length() > 32 ? name.substring(0, 32) : name);
      }
    }
    if (!unknown.isEmpty()) {
      throw HttpError.invalid("UNKNOWN_OPTION", "options that are not known here: " + unknown);
    }
    Params params = new Params(json);
    var _ = params.optionalFlag("debug");
    Map<String, SecretHosts> secrets = secrets(json.path("secrets"), params);
    if (secrets.size() != values) {
      throw HttpError.invalid(
          "INVALID_CONFIGURATION", "each secret has one value, and nothing else has any");
    }
    Optional<String> region = params.optionalText("region");
    if (region.isPresent() && !REGION.matcher(region.get()).matches()) {
      throw HttpError.invalid("INVALID_REGION", "a region is three letters and perhaps a digit");
    }
    Map<String, String> labels = params.textMap("labels");
    if (labels.keySet().stream().anyMatch(name -> name.startsWith(RESERVED))) {
      throw HttpError.invalid("INVALID_LABEL", "labels that begin with " + RESERVED + " are taken");
    }
    int memory = memory(params);
    return new CreateOptions(
        lifetime(params, now),
        memory == unnamedMemory ? 0 : memory,
        params.textMap("env"),
        labels,
        json.path("allow_net").isArray() ? Optional.of(params.texts("allow_net")) : none(params),
        secrets,
        volumes(json.path("volumes"), params),
        root(json, params),
        region,
        port(params),
        params.flag("ssh", false));
  }

  /** Not an array: absent, or refused. */
  private static Optional<List<String>> none(Params params) throws CallError {
    var _ = params.texts("allow_net");
    return Optional.empty();
  }

  private static int memory(Params params) throws CallError, HttpError {
    long memory = params.optionalNumber("memory_mb").orElse(0L);
    if (memory < 0 || memory > 1 << 24) {
      throw HttpError.invalid("INVALID_MEMORY", "memory is " + memory + " MiB");
    }
    return (int) memory;
  }

  private static Optional<Integer> port(Params params) throws CallError, HttpError {
    Optional<Long> port = params.optionalNumber("port");
    if (port.isPresent()
        && (port.get() < 1 || port.get() > MAX_PORT || port.get() == AGENTS_PORT)) {
      throw HttpError.invalid(
          "INVALID_PORT",
          "port is %d, expected 1 to %d but for %d, the agent's"
              .formatted(port.get(), MAX_PORT, AGENTS_PORT));
    }
    return port.map(Math::toIntExact);
  }

  private static Optional<Duration> lifetime(Params params, Instant now)
      throws CallError, HttpError {
    Optional<Long> stopAt = params.optionalNumber("stop_at_ms");
    if (stopAt.isPresent()) {
      return Optional.of(until(stopAt.get(), now));
    }
    Optional<String> timeout = params.optionalText("timeout");
    if (timeout.isEmpty() || timeout.get().equals("session")) {
      return Optional.empty();
    }
    Matcher matcher = TIMEOUT.matcher(timeout.get());
    if (!matcher.matches() || Integer.parseInt(matcher.group(1)) == 0) {
      throw HttpError.invalid(
          "INVALID_TIMEOUT",
          "timeout is '%s', expected \"session\", \"600s\" or \"15m\"".formatted(timeout.get()));
    }
    long number = Long.parseLong(matcher.group(1));
    return Optional.of(
        matcher.group(2).equals("s") ? Duration.ofSeconds(number) : Duration.ofMinutes(number));
  }

  /** A moment as a lifetime from now on. */
  static Duration until(long millis, Instant now) throws HttpError {
    Duration lifetime = Duration.between(now, Instant.ofEpochMilli(millis));
    if (lifetime.compareTo(Duration.ofSeconds(1)) < 0) {
      throw HttpError.invalid(
          "INVALID_TIMEOUT", "stop_at_ms is less than a second from now, or past");
    }
    return lifetime;
  }

  private static Map<String, SecretHosts> secrets(JsonNode json, Params params)
      throws CallError, HttpError {
    Map<String, SecretHosts> secrets = new LinkedHashMap<>();
    Params all = params.object("secrets");
    for (Map.Entry<String, JsonNode> entry : json.properties()) {
      Params secret = all.object(entry.getKey());
      if (!secret.text("value").isEmpty()) {
        // Only a string is taken out of the configuration; a parser sees an empty one.
        throw HttpError.invalid("INVALID_CONFIGURATION", "a secret's value is a string");
      }
      List<String> hosts = secret.texts("hosts");
      if (hosts.isEmpty()) {
        throw HttpError.invalid(
            "INVALID_SECRET", "the secret " + entry.getKey() + " names no host");
      }
      secrets.put(entry.getKey(), new SecretHosts(hosts));
    }
    return secrets;
  }

  /** Python: a path each; JavaScript: a list of pairs. */
  private static Map<String, String> volumes(JsonNode json, Params params)
      throws CallError, HttpError {
    if (!json.isArray()) {
      return plain(params.textMap("volumes"));
    }
    Map<String, String> volumes = new LinkedHashMap<>();
    for (JsonNode pair : json) {
      Params volume = new Params(pair);
      volumes.put(volume.text("path"), volume.text("volume"));
    }
    return plain(volumes);
  }

  /** A snapshot that a sandbox had would be one no more. */
  private static Map<String, String> plain(Map<String, String> volumes) throws HttpError {
    if (volumes.values().stream().anyMatch(Snapshots::isOne)) {
      throw new HttpError(404, "VOLUME_NOT_FOUND", "a snapshot is no volume");
    }
    return volumes;
  }

  private static Optional<String> root(JsonNode json, Params params) throws CallError {
    if (json.path("root").isMissingNode() || json.path("root").isNull()) {
      return Optional.empty();
    }
    return Optional.of(params.object("root").text("volume"));
  }

  /** The hosts that it may reach: those listed, else those that its secrets are for. */
  List<String> hosts() {
    if (allowNet.isPresent()) {
      return allowNet.get();
    }
    List<String> hosts = new ArrayList<>();
    secrets.values().forEach(secret -> hosts.addAll(secret.hosts()));
    return hosts.stream().distinct().toList();
  }
}
