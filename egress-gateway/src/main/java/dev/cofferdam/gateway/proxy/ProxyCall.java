package dev.cofferdam.gateway.proxy;

import com.google.protobuf.ByteString;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.kit.http.Header;
import dev.cofferdam.v1.EgressReason;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a program asks of an explicit proxy: the head of one request, read without judging it.
 * Sources: RFC 9110 sections 9.3.6 and 11.7; RFC 9112 section 3.2.
 *
 * @param tokenHash SHA-256 of the token that it goes by; empty where it gave none, or several
 * @param host where it wants to go
 * @param inOriginForm the head as it would be sent to the host itself, without what is the proxy's;
 *     empty for CONNECT
 */
record ProxyCall(
    Optional<ByteString> tokenHash, Host host, int port, Optional<String> inOriginForm) {
  private static final Pattern REQUEST_LINE = Pattern.compile("([^ ]+) ([^ ]+) (HTTP/1\\.[01])");
  private static final Pattern LINE = Pattern.compile("[\\t\\x20-\\x7e\\x80-\\xff]+");
  private static final Pattern AUTHORITY =
      Pattern.compile("(\\[[0-9A-Fa-f:.]+\\]|[^:\\[\\]@/?#]+)(?::([0-9]{1,5}))?");
  private static final Pattern ABSOLUTE =
      Pattern.compile("http://([^/?#]+)([/?][^#]*)?", Pattern.CASE_INSENSITIVE);
  private static final Pattern TOKEN = Pattern.compile("cfp_[0-9A-Za-z]{43}");

  /** No proxy could tell what is asked. */
  static final class RefusedException extends Exception {
    private static final long serialVersionUID = 1L;
    private final EgressReason reason;

    private RefusedException(EgressReason reason, String message) {
      super(message, null, false, false);
      this.reason = reason;
    }

    EgressReason reason() {
      return reason;
    }

    String text() {
      return String.valueOf(getMessage());
    }
  }

  /**
   * @param head up to and with the empty line
   */
  static ProxyCall parse(String head) throws RefusedException {
    List<String> lines = List.of(head.substring(0, head.length() - 4).split("\r\n", -1));
    for (String line : lines) {
      if (!LINE.matcher(line).matches()) {
        throw bad("a line that is empty or holds a control character");
      }
    }
    Matcher first = REQUEST_LINE.matcher(lines.getFirst());
    if (!first.matches()) {
      throw bad("not a request line of HTTP/1.1");
    }
    List<Header> headers = headers(lines);
    Optional<ByteString> token = token(headers);
    return first.group(1).equals("CONNECT")
        ? connect(first.group(2), headers, token)
        : absolute(first, lines, headers, token);
  }

  private static List<Header> headers(List<String> lines) throws RefusedException {
    List<Header> headers = new ArrayList<>();
    for (String line : lines.subList(1, lines.size())) {
      int colon = line.indexOf(':');
      // A folded line, too, has no name.
      if (colon <= 0 || line.substring(0, colon).chars().anyMatch(c -> c <= ' ')) {
        throw bad("a header line without a proper name");
      }
      headers.add(new Header(line.substring(0, colon), line.substring(colon + 1).strip()));
    }
    return headers;
  }

  private static ProxyCall connect(String target, List<Header> headers, Optional<ByteString> token)
      throws RefusedException {
    Authority to = authority(target, 0);
    if (to.port() == 0) {
      throw bad("CONNECT to no port");
    }
    for (Header header : headers) {
      if (header.is("content-length") || header.is("transfer-encoding")) {
        throw bad("CONNECT with a body");
      }
      if (header.is("host") && !authority(header.value(), to.port()).equals(to)) {
        throw new RefusedException(
            EgressReason.EGRESS_REASON_HOST_MISMATCH, "CONNECT and Host name two places");
      }
    }
    if (headers.stream().filter(header -> header.is("host")).count() > 1) {
      throw bad("more than one Host header");
    }
    return new ProxyCall(token, to.host(), to.port(), Optional.empty());
  }

  private static ProxyCall absolute(
      Matcher first, List<String> lines, List<Header> headers, Optional<ByteString> token)
      throws RefusedException {
    Matcher target = ABSOLUTE.matcher(first.group(2));
    if (!target.matches()) {
      throw bad("a request target that is no http:// URL; all else goes by CONNECT");
    }
    Authority to = authority(target.group(1), 80);
    String path = target.group(2) == null ? "/" : target.group(2);
    if (path.startsWith("?")) {
      path = "/" + path;
    }
    StringBuilder origin = new StringBuilder();
    origin.append(first.group(1)).append(' ').append(path).append(' ').append(first.group(3));
    origin.append("\r\n");
    for (int i = 0; i < headers.size(); i++) {
      Header header = headers.get(i);
      if (!header.is("proxy-authorization") && !header.is("proxy-connection")) {
        origin.append(lines.get(i + 1)).append("\r\n");
      }
    }
    // The next request may be for another host, and each is judged with a connection of its own.
    origin.append("Connection: close\r\n\r\n");
    return new ProxyCall(token, to.host(), to.port(), Optional.of(origin.toString()));
  }

  private record Authority(Host host, int port) {}

  private static Authority authority(String text, int standard) throws RefusedException {
    Matcher parts = AUTHORITY.matcher(text);
    if (!parts.matches()) {
      throw bad("no host and port");
    }
    int port = parts.group(2) == null ? standard : Integer.parseInt(parts.group(2));
    Optional<Host> host = Host.parse(parts.group(1));
    if (host.isEmpty() || port > 65535 || (parts.group(2) != null && port == 0)) {
      throw bad("no host and port");
    }
    return new Authority(host.get(), port);
  }

  private static Optional<ByteString> token(List<Header> headers) {
    List<String> given =
        headers.stream()
            .filter(header -> header.is("proxy-authorization"))
            .map(Header::value)
            .toList();
    if (given.size() != 1) {
      return Optional.empty();
    }
    String value = given.getFirst();
    int blank = value.indexOf(' ');
    String scheme = blank < 0 ? "" : value.substring(0, blank);
    String rest = value.substring(blank + 1).strip();
    Optional<String> token =
        scheme.equalsIgnoreCase("bearer")
            ? Optional.of(rest)
            : scheme.equalsIgnoreCase("basic") ? password(rest) : Optional.empty();
    return token.filter(text -> TOKEN.matcher(text).matches()).map(ProxyCall::hash);
  }

  private static Optional<String> password(String credentials) {
    try {
      String text =
          new String(Base64.getDecoder().decode(credentials), StandardCharsets.ISO_8859_1);
      int colon = text.indexOf(':');
      return colon < 0 ? Optional.empty() : Optional.of(text.substring(colon + 1));
    } catch (IllegalArgumentException e) {
      return Optional.empty();
    }
  }

  private static ByteString hash(String token) {
    try {
      return ByteString.copyFrom(
          MessageDigest.getInstance("SHA-256").digest(token.getBytes(StandardCharsets.US_ASCII)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }

  private static RefusedException bad(String why) {
    return new RefusedException(EgressReason.EGRESS_REASON_MALFORMED_REQUEST, why);
  }
}
