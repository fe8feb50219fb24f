package dev.cofferdam.broker.sign;

import dev.cofferdam.broker.secret.SecretValue;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/**
 * AWS Signature Version 4. The secret access key, what is derived of it and the session token are
 * off the heap throughout.
 *
 * @see <a
 *     href="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html">Create
 *     a signed AWS API request</a>
 */
public final class Aws4 {
  /** The header of the session token, which is signed like the others. */
  public static final String TOKEN = "x-amz-security-token";

  private static final String ALGORITHM = "AWS4-HMAC-SHA256";
  private static final String DIGITS = "0123456789abcdef";
  private static final int HASH = 32;

  private Aws4() {}

  /**
   * @param name lower case
   * @param value one character for each byte
   */
  public record Header(String name, String value) {}

  /**
   * A request.
   *
   * @param target path and query as they are sent, of visible ASCII
   * @param headers those to sign, in the order in which they are sent
   * @param payload hash of the body, or what stands for it
   * @param date of {@code x-amz-date}: {@code 20150830T123600Z}
   */
  public record Input(
      String method,
      String target,
      List<Header> headers,
      String payload,
      String date,
      String region,
      String service) {
    public Input {
      headers = List.copyOf(headers);
    }

    private String scope() {
      return String.join("/", day(), region, service, "aws4_request");
    }

    private String day() {
      return date.substring(0, 8);
    }
  }

  /** The parts of a credential, in the memory of its value. */
  private record Credential(MemorySegment id, MemorySegment key, MemorySegment token) {
    static Credential of(SecretValue value) {
      int first = colon(value, 0);
      int second = colon(value, first + 1);
      MemorySegment all = value.segment();
      return new Credential(
          all.asSlice(0, first),
          all.asSlice(first + 1L, second - first - 1L),
          second == value.length() ? all.asSlice(0, 0) : all.asSlice(second + 1L));
    }

    private static int colon(SecretValue value, int from) {
      int at = from;
      while (at < value.length() && value.at(at) != ':') {
        at++;
      }
      return at;
    }
  }

  /**
   * @param value as {@link dev.cofferdam.broker.secret.SecretRules#checkAwsCredential} wants it
   * @return the access key's id, the signature in hexadecimal and the session token, with LF
   *     between them; for the caller to close
   */
  public static SecretValue sign(Input input, SecretValue value) {
    Credential credential = Credential.of(value);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment hash = arena.allocate(HASH);
      try {
        try (Digest digest = new Sha256()) {
          canonical(input, credential.token(), digest);
          digest.finish(hash);
        }
        String toSign = String.join("\n", ALGORITHM, input.date(), input.scope(), hex(hash));
        key(arena, credential.key(), input, hash);
        hmac(hash, toSign, hash);
        return answer(credential, hash);
      } finally {
        hash.fill((byte) 0);
      }
    }
  }

  /** The chain that ends in a key for one day, region and service. */
  private static void key(Arena arena, MemorySegment secret, Input input, MemorySegment out) {
    MemorySegment first = arena.allocate(4 + secret.byteSize());
    try {
      for (int i = 0; i < 4; i++) {
        first.set(ValueLayout.JAVA_BYTE, i, (byte) "AWS4".charAt(i));
      }
      MemorySegment.copy(secret, 0, first, 4, secret.byteSize());
      hmac(first, input.day(), out);
      hmac(out, input.region(), out);
      hmac(out, input.service(), out);
      hmac(out, "aws4_request", out);
    } finally {
      first.fill((byte) 0);
    }
  }

  private static void hmac(MemorySegment key, String message, MemorySegment out) {
    Consumer<Digest> text = digest -> digest.update(message);
    Hmac.sign(Sha256::new, key, text, out);
  }

  private static void canonical(Input input, MemorySegment token, Digest to) {
    int question = input.target().indexOf('?');
    String path = question < 0 ? input.target() : input.target().substring(0, question);
    String query = question < 0 ? "" : input.target().substring(question + 1);
    to.update(input.method() + "\n" + path(path, input.service()) + "\n" + query(query) + "\n");
    TreeMap<String, String> headers = new TreeMap<>();
    for (Header header : input.headers()) {
      headers.merge(header.name(), trimmed(header.value()), (one, two) -> one + "," + two);
    }
    if (token.byteSize() > 0) {
      headers.put(TOKEN, "");
    }
    for (Map.Entry<String, String> header : headers.entrySet()) {
      to.update(header.getKey() + ":" + header.getValue());
      if (header.getKey().equals(TOKEN)) {
        to.update(token);
      }
      to.update("\n");
    }
    to.update("\n" + String.join(";", headers.keySet()) + "\n" + input.payload());
  }

  private static String trimmed(String value) {
    return value.strip().replaceAll(" {2,}", " ");
  }

  /** S3 has names that are no paths: it alone neither normalises nor encodes twice. */
  private static String path(String path, String service) {
    if (service.equals("s3") || service.startsWith("s3-") || service.equals("s3express")) {
      return encoded(decoded(path), true);
    }
    return encoded(normalised(path), true);
  }

  /** RFC 3986 section 5.2.4, and without empty segments. */
  private static String normalised(String path) {
    List<String> segments = new ArrayList<>();
    for (String segment : path.split("/", -1)) {
      if (segment.equals("..")) {
        if (!segments.isEmpty()) {
          segments.removeLast();
        }
      } else if (!segment.isEmpty() && !segment.equals(".")) {
        segments.add(segment);
      }
    }
    String joined = "/" + String.join("/", segments);
    return path.endsWith("/") && !segments.isEmpty() ? joined + "/" : joined;
  }

  private static String query(String query) {
    if (query.isEmpty()) {
      return "";
    }
    record Pair(String name, String value) {}
    return List.of(query.split("&")).stream()
        .filter(pair -> !pair.isEmpty())
        .map(pair -> {
          int equals = pair.indexOf('=');
          String name = equals < 0 ? pair : pair.substring(0, equals);
          String value = equals < 0 ? "" : pair.substring(equals + 1);
          return new Pair(encoded(decoded(name), false), encoded(decoded(value), false));
        })
        .sorted(Comparator.comparing(Pair::name).thenComparing(Pair::value))
        .map(pair -> pair.name() + "=" + pair.value())
        .collect(Collectors.joining("&"));
  }

  /** One character for each byte. */
  private static String decoded(String text) {
    StringBuilder decoded = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '%' && i + 2 < text.length()) {
        int high = Character.digit(text.charAt(i + 1), 16);
        int low = Character.digit(text.charAt(i + 2), 16);
        if (high >= 0 && low >= 0) {
          decoded.append((char) (high << 4 | low));
          i += 2;
          continue;
        }
      }
      decoded.append(c);
    }
    return decoded.toString();
  }

  private static String encoded(String bytes, boolean slashes) {
    StringBuilder encoded = new StringBuilder();
    for (int i = 0; i < bytes.length(); i++) {
      char c = bytes.charAt(i);
      boolean plain =
          (c >= 'A' && c <= 'Z')
              || (c >= 'a' && c <= 'z')
              || (c >= '0' && c <= '9')
              || "-._~".indexOf(c) >= 0
              || (slashes && c == '/');
      if (plain) {
        encoded.append(c);
      } else {
        encoded
            .append('%')
            .append(Character.toUpperCase(DIGITS.charAt(c >> 4 & 15)))
            .append(Character.toUpperCase(DIGITS.charAt(c & 15)));
      }
    }
    return encoded.toString();
  }

  /** Of the request's hash alone, which is no secret. */
  private static String hex(MemorySegment hash) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < 2 * HASH; i++) {
      text.append((char) digit(hash, i));
    }
    return text.toString();
  }

  private static byte digit(MemorySegment hash, int i) {
    int unit = hash.get(ValueLayout.JAVA_BYTE, i / 2);
    return (byte) DIGITS.charAt((i % 2 == 0 ? unit >> 4 : unit) & 15);
  }

  private static SecretValue answer(Credential credential, MemorySegment signature) {
    long id = credential.id().byteSize();
    long token = credential.token().byteSize();
    SecretValue answer = SecretValue.ofLength(id + 2 * HASH + token + 2);
    MemorySegment out = answer.segment();
    MemorySegment.copy(credential.id(), 0, out, 0, id);
    out.set(ValueLayout.JAVA_BYTE, id, (byte) '\n');
    for (int i = 0; i < 2 * HASH; i++) {
      out.set(ValueLayout.JAVA_BYTE, id + 1 + i, digit(signature, i));
    }
    out.set(ValueLayout.JAVA_BYTE, id + 1 + 2 * HASH, (byte) '\n');
    MemorySegment.copy(credential.token(), 0, out, id + 2 + 2 * HASH, token);
    return answer;
  }
}
