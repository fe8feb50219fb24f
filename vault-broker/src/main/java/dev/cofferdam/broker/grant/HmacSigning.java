package dev.cofferdam.broker.grant;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.policy.Hmac;
import dev.cofferdam.broker.sign.Aws4;
import dev.cofferdam.broker.sign.HmacSigner;
import dev.cofferdam.kit.egress.SigningTemplate.Piece;
import java.time.Instant;
import java.util.List;
import java.util.regex.Pattern;

/**
 * By HMAC, over what the secret's binding says.
 *
 * @param bodyHash SHA-256 in lower-case hexadecimal, or empty where that is not signed
 * @param body as it will be sent, or empty where that is not signed
 */
record HmacSigning(String target, List<Aws4.Header> headers, String bodyHash, ByteString body)
    implements Signing {
  private static final Pattern HASH = Pattern.compile("([0-9a-f]{64})?");

  HmacSigning {
    headers = List.copyOf(headers);
    Signing.check(target, headers);
    if (!HASH.matcher(bodyHash).matches()) {
      throw Signing.invalid("the hash of the body is none");
    }
  }

  /** Its time is the broker's own. */
  @Override
  public boolean timely(Instant now) {
    return true;
  }

  HmacSigner.Input input(Hmac by, String method, Instant now) {
    String timestamp = HmacSigner.timestamp(by.spec().getTimestamp(), now);
    return new HmacSigner.Input(
        by.message().pieces().stream().map(piece -> part(piece, method, timestamp)).toList(),
        timestamp);
  }

  private HmacSigner.Part part(Piece piece, String method, String timestamp) {
    return switch (piece.variable()) {
      case BODY -> new HmacSigner.Part.Bytes(body);
      case TEXT -> new HmacSigner.Part.Text(piece.text());
      case METHOD -> new HmacSigner.Part.Text(method);
      case HOST -> new HmacSigner.Part.Text(header("host"));
      case PATH -> new HmacSigner.Part.Text(path());
      case QUERY ->
          new HmacSigner.Part.Text(
              target.indexOf('?') < 0 ? "" : target.substring(target.indexOf('?') + 1));
      case TARGET -> new HmacSigner.Part.Text(target);
      case HEADER -> new HmacSigner.Part.Text(header(piece.text()));
      case BODY_SHA256 -> {
        if (bodyHash.isEmpty()) {
          throw Signing.invalid("the hash of the body is none");
        }
        yield new HmacSigner.Part.Text(bodyHash);
      }
      case TIMESTAMP -> new HmacSigner.Part.Text(timestamp);
      case SIGNATURE -> throw new IllegalStateException("no signature signs itself");
    };
  }
}
