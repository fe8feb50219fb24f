package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.RequestHead;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A presigned URL whose access key's id is a placeholder, as the request that it stands for: with
 * the same credential in a header, which the broker then signs. So no signature ever stands in a
 * URL, where logs and redirects would keep it.
 */
public final class Presigned {
  private static final Set<String> NEEDED =
      Set.of(
          "x-amz-algorithm",
          "x-amz-credential",
          "x-amz-date",
          "x-amz-signedheaders",
          "x-amz-signature");

  /** Said of the URL alone: what is sent instead is good for this one request. */
  private static final Set<String> DROPPED = Set.of("x-amz-expires", "x-amz-security-token");

  private Presigned() {}

  /** The head itself where it is no such URL, or one that could be read in two ways. */
  public static RequestHead unfolded(RequestHead head) {
    int question = head.target().indexOf('?');
    if (question < 0
        || head.headers().has("authorization")
        || head.headers().has("x-amz-date")
        || Candidates.in(head.target()).isEmpty()) {
      return head;
    }
    List<String> kept = new ArrayList<>();
    Map<String, String> credential = new HashMap<>();
    for (String pair : head.target().substring(question + 1).split("&", -1)) {
      int equals = pair.indexOf('=');
      String name =
          Percent.decode(equals < 0 ? pair : pair.substring(0, equals)).toLowerCase(Locale.ROOT);
      if (!name.startsWith("x-amz-")) {
        kept.add(pair);
      } else if (!(NEEDED.contains(name) || DROPPED.contains(name))
          || credential.put(name, Percent.decode(pair.substring(equals + 1))) != null) {
        // What SDKs move from headers into such a URL means nothing beside a header's credential.
        return head;
      }
    }
    return header(credential)
        .map(line -> {
          String query = String.join("&", kept);
          String target = head.path() + (query.isEmpty() ? "" : "?" + query);
          return head.withTarget(target).with(headers(head.headers(), line, credential));
        })
        .orElse(head);
  }

  private static Optional<Header> header(Map<String, String> credential) {
    if (!credential.keySet().containsAll(NEEDED)
        || !credential.getOrDefault("x-amz-date", "").matches("[0-9]{8}T[0-9]{6}Z")) {
      return Optional.empty();
    }
    Header line =
        new Header(
            "Authorization",
            "%s Credential=%s, SignedHeaders=%s, Signature=%s"
                .formatted(
                    credential.get("x-amz-algorithm"),
                    credential.get("x-amz-credential"),
                    credential.get("x-amz-signedheaders"),
                    credential.get("x-amz-signature")));
    return Aws4.of(line).filter(aws4 -> !aws4.part().found().isEmpty()).map(_ -> line);
  }

  private static Headers headers(Headers own, Header line, Map<String, String> credential) {
    Headers headers =
        own.with(line.name(), line.value())
            .with("X-Amz-Date", credential.getOrDefault("x-amz-date", ""));
    // The body is no part of what a presigned URL of S3 signs, and may be of any length.
    boolean open = Aws4.of(line).filter(Aws4::ofS3).isPresent() && !own.has("x-amz-content-sha256");
    return open ? headers.with("X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD") : headers;
  }
}
