package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.placeholder.Aws4;
import dev.cofferdam.gateway.placeholder.Target;
import dev.cofferdam.gateway.placeholder.Use;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.internal.v1.HeaderToSign;
import dev.cofferdam.internal.v1.RequestToSign;
import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.RequestHead;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Supplier;
import java.util.regex.Pattern;

/**
 * A request that the broker signs by AWS Signature Version 4, as it will be sent: whatever the
 * guest signed says nothing.
 *
 * @param head as it will be sent, but for what {@link UpstreamRequest} writes anew, which is not
 *     signed
 */
record SignedRequest(RequestHead head, Aws4 authorization, RequestToSign toSign)
    implements Signable {
  /** Of a session, which the broker knows. */
  static final String TOKEN = "x-amz-security-token";

  private static final String PAYLOAD = "x-amz-content-sha256";
  private static final String DATE = "x-amz-date";
  private static final String STREAMING = "STREAMING-";
  private static final Pattern HASH = Pattern.compile("[0-9a-f]{64}");

  /** Chunks with checksums behind them, which nobody signs. */
  private static final String CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

  private static final Pattern KNOWN_PAYLOAD =
      Pattern.compile("[0-9a-f]{64}|UNSIGNED-PAYLOAD|" + CHUNKS);

  /** What AWS wants signed is Host, Content-Type and all of its own; these change on the way. */
  private static final Set<String> NEVER =
      Set.of(
          "authorization",
          "accept-encoding",
          "connection",
          "content-length",
          "expect",
          "grpc-accept-encoding",
          "keep-alive",
          "te",
          "trailer",
          "transfer-encoding",
          "upgrade",
          "user-agent",
          TOKEN);

  private static boolean signs(Use use) {
    return use.target() instanceof Target.Aws4;
  }

  static Optional<String> unsupported(RequestHead head, List<Use> uses) {
    if (uses.stream().noneMatch(SignedRequest::signs)) {
      return Optional.empty();
    }
    Optional<String> date = single(head.headers(), DATE);
    if (uses.size() > 1 || head.headers().all("authorization").size() > 1) {
      return Optional.of("a request that is signed holds no other placeholder");
    }
    if (date.isEmpty() || !date.get().startsWith(authorization(head).date() + "T")) {
      return Optional.of("a request that is signed has one X-Amz-Date, of the credential's day");
    }
    if (head.headers().has(PAYLOAD)
        && single(head.headers(), PAYLOAD)
            .filter(hash -> KNOWN_PAYLOAD.matcher(hash).matches())
            .isEmpty()) {
      return Optional.of(
          "X-Amz-Content-SHA256 is none of a hash, UNSIGNED-PAYLOAD and %s; chunks are not signed one by one"
              .formatted(CHUNKS));
    }
    return Optional.empty();
  }

  /**
   * Whether its body has to be read to its end before it can be signed.
   *
   * @param rewritten what leaves may differ from what the guest took the hash of
   */
  static boolean needsBody(RequestHead head, List<Use> uses, boolean rewritten) {
    return uses.stream().anyMatch(SignedRequest::signs)
        && (!head.headers().has(PAYLOAD) || (rewritten && hashed(head)));
  }

  private static boolean hashed(RequestHead head) {
    return head.headers().first(PAYLOAD).filter(text -> HASH.matcher(text).matches()).isPresent();
  }

  /** Whether the body says of itself that it is in signed or checked pieces, AWS's way. */
  static boolean inPieces(RequestHead head) {
    return head.headers().all(PAYLOAD).stream()
        .anyMatch(text -> text.strip().regionMatches(true, 0, STREAMING, 0, STREAMING.length()));
  }

  /** Whether the body is in pieces that are searched as they are. */
  static boolean chunked(RequestHead head, List<Use> uses) {
    List<String> codings = head.headers().all("content-encoding");
    return uses.stream().anyMatch(SignedRequest::signs)
        && codings.size() == 1
        && codings.getFirst().strip().equalsIgnoreCase("aws-chunked")
        && head.headers().first(PAYLOAD).filter(CHUNKS::equals).isPresent();
  }

  /**
   * @param bodyHash of the whole body, asked for where the head does not say it
   * @param rewritten what it says is not the hash of what leaves
   */
  static SignedRequest of(
      RequestHead head, Host.Name name, Supplier<String> bodyHash, boolean rewritten) {
    Headers kept = head.headers().without(TOKEN);
    if (rewritten && head.bodyLength() != 0 && hashed(head)) {
      kept = kept.without(PAYLOAD).with(PAYLOAD, bodyHash.get());
    }
    Aws4 authorization = authorization(head);
    Set<String> names = new TreeSet<>(Arrays.asList(authorization.signedHeaders().split(";")));
    RequestToSign.Builder toSign =
        RequestToSign.newBuilder()
            .setTarget(head.target())
            .setPayloadSha256(kept.first(PAYLOAD).orElseGet(bodyHash))
            .addHeaders(header("host", UpstreamRequest.authority(head, name)));
    for (Header line : kept.endToEnd().lines()) {
      String lower = line.name().toLowerCase(Locale.ROOT);
      boolean wanted =
          names.contains(lower) || lower.startsWith("x-amz-") || lower.equals("content-type");
      if (wanted && !NEVER.contains(lower)) {
        toSign.addHeaders(header(lower, line.value()));
      }
    }
    return new SignedRequest(head.with(kept), authorization, toSign.build());
  }

  /** In their order, with semicolons between them. */
  String signedHeaders(boolean token) {
    Set<String> names = new TreeSet<>();
    toSign.getHeadersList().forEach(header -> names.add(header.getName()));
    if (token) {
      names.add(TOKEN);
    }
    return String.join(";", names);
  }

  @Override
  public Signature read(SecretValue answer) {
    return new Aws4Signature(this, answer);
  }

  private static HeaderToSign header(String name, String value) {
    return HeaderToSign.newBuilder().setName(name).setValue(value).build();
  }

  private static Aws4 authorization(RequestHead head) {
    return head.headers().lines().stream()
        .flatMap(line -> Aws4.of(line).stream())
        .findFirst()
        .orElseThrow();
  }

  private static Optional<String> single(Headers headers, String name) {
    List<String> all = headers.all(name);
    return all.size() == 1 ? Optional.of(all.getFirst()) : Optional.empty();
  }
}
