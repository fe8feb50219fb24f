package dev.cofferdam.edge.fetch;

import com.fasterxml.jackson.databind.JsonNode;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.edge.protocol.SdkError;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * A request as fetch has it (fetch.spec.whatwg.org), and what becomes of it where it is redirected.
 *
 * @param body whether one is sent along
 * @param server a port in the guest that it goes to, whatever its address says; 0: none
 */
record FetchRequest(
    URI url, String method, List<Header> headers, boolean follow, boolean body, int server) {
  private static final int URL_CHARS = 16 << 10;
  private static final int HEADERS = 256;
  private static final int HEADER_CHARS = 64 << 10;
  private static final Pattern TOKEN = Pattern.compile("[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}");

  /** What a connection's end says, not its user (RFC 9110, section 7.6.1), and the body's size. */
  private static final Set<String> OF_CONNECTION =
      Set.of(
          "connection",
          "content-length",
          "expect",
          "host",
          "keep-alive",
          "proxy-connection",
          "te",
          "trailer",
          "transfer-encoding",
          "upgrade");

  /** Not for another host than they were given for. */
  private static final Set<String> OF_HOST =
      Set.of("authorization", "cookie", "proxy-authorization");

  FetchRequest {
    headers = List.copyOf(headers);
  }

  record Header(String name, String value) {
    private boolean in(Set<String> names) {
      return names.contains(name.toLowerCase(Locale.ROOT));
    }
  }

  static FetchRequest of(Params params, int server) throws CallError, SdkError {
    String method = params.text("method");
    if (!TOKEN.matcher(method).matches()) {
      throw CallError.parameter("method", "a method");
    }
    boolean follow =
        switch (params.optionalText("redirect").orElse("follow")) {
          case "follow" -> true;
          case "manual" -> false;
          default -> throw CallError.parameter("redirect", "\"follow\"|\"manual\"");
        };
    return new FetchRequest(
        url(params.text("url")),
        method,
        headers(params.array("headers")),
        follow,
        params.optionalNumber("bodyStreamId").isPresent(),
        server);
  }

  private static List<Header> headers(List<JsonNode> pairs) throws CallError {
    List<Header> headers = new ArrayList<>();
    int size = 0;
    for (JsonNode pair : pairs) {
      String name = pair.path(0).asText();
      String value = pair.path(1).asText();
      size += name.length() + value.length();
      if (pair.size() != 2
          || !TOKEN.matcher(name).matches()
          || value.chars().anyMatch(c -> c < ' ' && c != '\t')
          || headers.size() >= HEADERS
          || size > HEADER_CHARS) {
        throw CallError.parameter(
            "headers",
            "pairs of a name and a value, at most %d of %d characters in all"
                .formatted(HEADERS, HEADER_CHARS));
      }
      Header header = new Header(name, value.strip());
      if (!header.in(OF_CONNECTION)) {
        headers.add(header);
      }
    }
    return headers;
  }

  private static URI url(String text) throws SdkError {
    try {
      URI url = URI.create(escaped(text));
      if (url.isOpaque()
          || !Set.of("http", "https").contains(scheme(url))
          || url.getRawAuthority() == null
          || text.length() > URL_CHARS) {
        throw failed("ERR_INVALID_URL", "expected an address of http or https");
      }
      return url;
    } catch (IllegalArgumentException e) {
      throw failed("ERR_INVALID_URL", "the address is none");
    }
  }

  /** Browsers let more stand in an address than RFC 3986 does, which Java holds them to. */
  private static String escaped(String text) {
    int slashes = text.indexOf("://");
    int path = slashes < 0 ? 0 : Math.max(text.indexOf('/', slashes + 3), 0);
    StringBuilder escaped = new StringBuilder();
    text.codePoints()
        .forEach(c -> {
          boolean host = path == 0 || escaped.length() < path;
          if ((c > ' ' && c < 0x7f && "\"<>\\^`{|}".indexOf(c) < 0)
              && (host || (c != '[' && c != ']'))) {
            escaped.appendCodePoint(c);
          } else {
            for (byte b : Character.toString(c).getBytes(StandardCharsets.UTF_8)) {
              escaped.append("%%%02X".formatted(b & 0xff));
            }
          }
        });
    return escaped.toString();
  }

  private static String scheme(URI url) {
    return url.getScheme() == null ? "" : url.getScheme().toLowerCase(Locale.ROOT);
  }

  static SdkError failed(String code, String message) {
    return new SdkError("TypeError", code, message);
  }

  /**
   * The request that an answer asks for; empty where it asks for none.
   *
   * @throws SdkError where it asks for one that cannot be made
   */
  Optional<FetchRequest> after(Head head) throws SdkError {
    Optional<String> location = head.value("location");
    if (!follow || !head.redirects() || location.isEmpty()) {
      return Optional.empty();
    }
    URI next = target(location.get());
    boolean get =
        (head.status() == 303 && !Set.of("GET", "HEAD").contains(method))
            || (head.status() <= 302 && method.equals("POST"));
    if (body && !get) {
      throw failed("ERR_FETCH", "a redirect wants a body again that was sent and is not kept");
    }
    List<Header> kept = new ArrayList<>(headers);
    if (get) {
      kept.removeIf(header -> header.name().toLowerCase(Locale.ROOT).startsWith("content-"));
    }
    if (!origin(next).equals(origin(url))) {
      kept.removeIf(header -> header.in(OF_HOST));
    }
    return Optional.of(new FetchRequest(next, get ? "GET" : method, kept, true, false, server));
  }

  private URI target(String location) throws SdkError {
    try {
      return url(url.resolve(URI.create(escaped(location))).toString());
    } catch (IllegalArgumentException e) {
      throw failed("ERR_INVALID_URL", "a redirect leads to no address");
    }
  }

  /** A process serves HTTP without TLS. */
  private String plain() {
    return "http" + url.toString().substring(scheme(url).length());
  }

  private static String origin(URI url) {
    int port = url.getPort();
    if (port < 0) {
      port = scheme(url).equals("https") ? 443 : 80;
    }
    String host = url.getHost() == null ? url.getRawAuthority() : url.getHost();
    return "%s://%s:%d".formatted(scheme(url), host.toLowerCase(Locale.ROOT), port);
  }

  /** As curl's arguments say it. Nothing in them is taken for an option or a file's name. */
  List<String> command() {
    List<String> words = new ArrayList<>(List.of("curl", "-q", "--silent", "--show-error"));
    words.addAll(List.of("--no-buffer", "--globoff", "--path-as-is", "--http1.1"));
    words.addAll(List.of("--proto", "=http,https", "--suppress-connect-headers"));
    if (method.equals("HEAD")) {
      words.add("--head");
    } else {
      words.addAll(List.of("--include", "--request", method));
    }
    if (body) {
      words.addAll(List.of("--upload-file", "-", "--header", "Expect:"));
    } else if (Set.of("POST", "PUT", "PATCH").contains(method)) {
      words.addAll(List.of("--header", "Content-Length: 0"));
    }
    for (Header header : headers) {
      // A name without a value would take the header away.
      words.add("--header");
      words.add(
          header.value().isEmpty() ? header.name() + ";" : header.name() + ": " + header.value());
    }
    if (server > 0) {
      words.addAll(List.of("--noproxy", "*", "--connect-to", "::127.0.0.1:" + server));
    }
    words.addAll(List.of("--url", server > 0 ? plain() : url.toString()));
    return words;
  }
}
