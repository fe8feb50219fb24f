package dev.cofferdam.node.oci;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Reads images of registries (OCI distribution specification, "Pull"). What a tenant names, what a
 * registry redirects to and whom it sends its callers to for a token: none is asked anything unless
 * the operator allows it, so this process asks nothing of a host that a tenant or a registry chose.
 * The operator's credentials go to the registry that they are for and to whom that one names for a
 * token, never over a connection that is less safe than the registry's own. What comes is bounded
 * in bytes and in time, and its digests are checked by whoever reads it. Safe for use by several
 * threads.
 */
public final class RegistryClient implements AutoCloseable {
  private static final Duration ANSWER = Duration.ofSeconds(30);
  private static final int MAX_HOPS = 5;
  private static final int MAX_DEPTH = 3;
  private static final int MAX_TOKEN = 64 << 10;
  private static final String MANIFESTS =
      String.join(
          ", ",
          "application/vnd.oci.image.index.v1+json",
          "application/vnd.oci.image.manifest.v1+json",
          "application/vnd.docker.distribution.manifest.list.v2+json",
          "application/vnd.docker.distribution.manifest.v2+json");
  private static final Pattern BLOB = Pattern.compile("blobs/sha256/([0-9a-f]{64})");

  /** Of RFC 9110's {@code auth-param}, quoted. */
  private static final Pattern PARAMETER = Pattern.compile("([a-z]+)=\"([^\"]*)\"");

  /** Where the credentials come from, for each pull anew: so the operator can change them. */
  @FunctionalInterface
  public interface Credentials {
    /**
     * @throws IOException when they cannot be read
     */
    RegistryCredentials get() throws IOException;
  }

  private final List<Registry> allowed;
  private final Credentials credentials;
  private final long maxBytes;
  private final Duration patience;
  private final HttpClient http;

  /**
   * @param allowed all that is ever asked
   * @param maxBytes of one layer as it lies there
   * @param patience for each body, from its first byte to its last
   */
  public RegistryClient(
      List<Registry> allowed,
      Credentials credentials,
      long maxBytes,
      Duration patience,
      Executor executor) {
    this.allowed = List.copyOf(allowed);
    this.credentials = credentials;
    this.maxBytes = maxBytes;
    this.patience = patience;
    this.http =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            // Each hop is judged here first.
            .followRedirects(HttpClient.Redirect.NEVER)
            .proxy(HttpClient.Builder.NO_PROXY)
            .connectTimeout(ANSWER)
            .executor(executor)
            .build();
  }

  @Override
  public void close() {
    http.shutdownNow();
  }

  /**
   * Its layers are read when they are asked for, and not before.
   *
   * @param tenant whose template it is for
   * @throws ImageException when the registry is not allowed, or has no such image
   */
  public OciImage open(String reference, String tenant) throws IOException {
    ImageReference image = ImageReference.parse(reference);
    Registry registry =
        allowed.stream()
            .filter(each -> each.isNamed(image.authority()))
            .findFirst()
            .orElseThrow(() ->
                new ImageException(
                    "registry %s is not one of those allowed on this node"
                        .formatted(image.authority())));
    Repository repository =
        new Repository(
            registry,
            image.name(),
            credentials.get().basic(registry, image.name(), tenant).orElse(""));
    JsonNode json = repository.manifest(image.asked(), image.digest());
    for (int depth = 0; OciImage.isIndex(json); depth++) {
      if (depth == MAX_DEPTH) {
        throw new ImageException("an index of indexes of indexes");
      }
      Digest digest = Digest.parse(OciImage.choose(json).path("digest").asText());
      json = repository.manifest(digest.toString(), Optional.of(digest));
    }
    return OciImage.ofManifest(repository, json);
  }

  /** One repository and what it takes to be let in. Not safe for use by several threads. */
  private final class Repository implements Blobs {
    private final Registry registry;
    private final String name;
    private final String basic;
    private @Nullable String authorization;

    /**
     * @param basic what lets this node in, as a header has it; empty: nothing does
     */
    Repository(Registry registry, String name, String basic) {
      this.registry = registry;
      this.name = name;
      this.basic = basic;
    }

    JsonNode manifest(String reference, Optional<Digest> expected) throws IOException {
      byte[] text;
      try (InputStream in =
          get("/v2/" + name + "/manifests/" + reference, MANIFESTS, ImageLimits.JSON)) {
        text = in.readAllBytes();
      }
      if (expected.isPresent() && !Digest.of(text).equals(expected.get())) {
        throw new ImageException(
            "a manifest has the digest %s, expected %s".formatted(Digest.of(text), expected.get()));
      }
      return OciImage.parse(text, "the manifest");
    }

    @Override
    public InputStream open(String blob) throws IOException {
      Matcher matcher = BLOB.matcher(blob);
      if (!matcher.matches()) {
        throw new ImageException(blob + " is no blob of a registry");
      }
      return get("/v2/" + name + "/blobs/sha256:" + matcher.group(1), "*/*", maxBytes);
    }

    @Override
    public boolean has(String blob) {
      return BLOB.matcher(blob).matches();
    }

    @Override
    public void close() {}

    private InputStream get(String path, String accept, long limit) throws IOException {
      URI uri = registry.uri(path);
      boolean asked = false;
      for (int hop = 0; hop < MAX_HOPS; hop++) {
        HttpResponse<InputStream> response = ask(uri, accept);
        switch (response.statusCode()) {
          case 200 -> {
            return new BoundedBody(response.body(), limit, patience);
          }
          case 301, 302, 303, 307, 308 -> {
            response.body().close();
            uri = target(uri, response);
          }
          case 401 -> {
            response.body().close();
            // A token may have come to its end between two layers; a second refusal is one.
            if (asked || !registry.serves(uri)) {
              throw new ImageException(
                  "registry %s does not let this node read %s".formatted(registry.host(), name));
            }
            asked = true;
            authorization = authorization(response);
          }
          default -> {
            response.body().close();
            throw new ImageException(
                "registry %s answers %d for %s"
                    .formatted(registry.host(), response.statusCode(), path));
          }
        }
      }
      throw new ImageException(
          "registry %s sends its callers on more than %d times"
              .formatted(registry.host(), MAX_HOPS));
    }

    private HttpResponse<InputStream> ask(URI uri, String accept) throws IOException {
      HttpRequest.Builder request = request(uri).header("Accept", accept);
      // It is the registry's alone, wherever that sends us.
      if (authorization != null && registry.serves(uri)) {
        request.header("Authorization", authorization);
      }
      return send(request.build());
    }

    private String authorization(HttpResponse<?> response) throws IOException {
      String challenge = response.headers().firstValue("WWW-Authenticate").orElse("");
      if (isOf(challenge, "Bearer")) {
        return "Bearer " + token(challenge);
      }
      if (isOf(challenge, "Basic") && !basic.isEmpty()) {
        return basic;
      }
      throw new ImageException(
          "registry %s wants credentials, and this node has none for %s and this tenant"
              .formatted(registry.host(), name));
    }

    /** From whom the registry names (distribution specification, token authentication). */
    private String token(String challenge) throws IOException {
      String realm = parameter(challenge, "realm");
      String service = parameter(challenge, "service");
      URI uri =
          uri(
              realm
                  + (realm.contains("?") ? "&" : "?")
                  + "service="
                  + URLEncoder.encode(service, StandardCharsets.UTF_8)
                  + "&scope="
                  + URLEncoder.encode("repository:" + name + ":pull", StandardCharsets.UTF_8));
      HttpRequest.Builder request = request(uri);
      if (!basic.isEmpty()) {
        if (!registry.isAsSafe(uri)) {
          throw new ImageException(
              "registry %s wants its credentials sent to %s, which is not over TLS"
                  .formatted(registry.host(), uri.getAuthority()));
        }
        request.header("Authorization", basic);
      }
      HttpResponse<InputStream> answer = send(request.build());
      try (InputStream body = new BoundedBody(answer.body(), MAX_TOKEN, patience)) {
        if (answer.statusCode() != 200) {
          throw new ImageException(
              "the token service of registry %s answers %d"
                  .formatted(registry.host(), answer.statusCode()));
        }
        JsonNode json = OciImage.parse(body.readAllBytes(), "a token");
        String given = json.path("token").asText(json.path("access_token").asText());
        if (!given.matches("[!-~]{1,32768}")) {
          throw new ImageException("a token of registry %s is none".formatted(registry.host()));
        }
        return given;
      }
    }

    private HttpRequest.Builder request(URI uri) throws ImageException {
      if (allowed.stream().noneMatch(each -> each.serves(uri))) {
        throw new ImageException(
            "registry %s sends its callers to %s://%s, which is not one of those allowed on this node"
                .formatted(registry.host(), uri.getScheme(), uri.getAuthority()));
      }
      return HttpRequest.newBuilder(uri).timeout(ANSWER).GET();
    }
  }

  private HttpResponse<InputStream> send(HttpRequest request) throws IOException {
    try {
      return http.send(request, BodyHandlers.ofInputStream());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while a registry was asked", e);
    } catch (IOException e) {
      throw new IOException(
          "registry %s cannot be reached: %s".formatted(request.uri().getAuthority(), e), e);
    }
  }

  private static boolean isOf(String challenge, String scheme) {
    return challenge.regionMatches(true, 0, scheme + " ", 0, scheme.length() + 1);
  }

  private static URI target(URI from, HttpResponse<?> response) throws ImageException {
    String location = response.headers().firstValue("Location").orElse("");
    try {
      return from.resolve(location);
    } catch (IllegalArgumentException e) {
      throw new ImageException("a registry sends its callers to what is no address", e);
    }
  }

  private static URI uri(String text) throws ImageException {
    try {
      return URI.create(text);
    } catch (IllegalArgumentException e) {
      throw new ImageException("a registry names a token service that is no address", e);
    }
  }

  private static String parameter(String challenge, String name) {
    Matcher matcher = PARAMETER.matcher(challenge);
    while (matcher.find()) {
      if (name.equals(matcher.group(1))) {
        return matcher.group(2);
      }
    }
    return "";
  }
}
