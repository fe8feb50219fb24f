package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.placeholder.Aws4;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.Headers;
import java.util.List;
import java.util.Optional;

/**
 * A signature by AWS Signature Version 4, with the access key's id and perhaps a session's token.
 */
final class Aws4Signature implements Signature {
  private final SignedRequest request;
  private final SecretValue accessKeyId;
  private final SecretValue signature;
  private final SecretValue token;

  Aws4Signature(SignedRequest request, SecretValue answer) {
    List<SecretValue> lines = Signature.lines(answer);
    this.request = request;
    this.accessKeyId = lines.get(0);
    this.signature = lines.get(1);
    this.token = lines.get(2);
  }

  @Override
  public List<SecretValue> parts() {
    return hasToken() ? List.of(accessKeyId, signature, token) : List.of(accessKeyId, signature);
  }

  /** Whether there is a header for a session's token to add. */
  private boolean hasToken() {
    return token.length() > 0;
  }

  @Override
  public Optional<SecretValue> inTarget() {
    return Optional.empty();
  }

  @Override
  public Headers prepared(Headers headers) {
    return hasToken() ? headers.with(SignedRequest.TOKEN, "") : headers;
  }

  @Override
  public Optional<SecretValue> of(Header header) {
    if (header.is(SignedRequest.TOKEN)) {
      return Optional.of(Signature.copy(token));
    }
    if (!header.is("authorization")) {
      return Optional.empty();
    }
    Aws4 guests = request.authorization();
    return Optional.of(
        Splicer.join(
            List.of(
                new Splicer.Piece.Text("AWS4-HMAC-SHA256 Credential="),
                new Splicer.Piece.Secret(accessKeyId),
                new Splicer.Piece.Text(
                    "/%s/%s/%s/aws4_request, SignedHeaders=%s, Signature="
                        .formatted(
                            guests.date(),
                            guests.region(),
                            guests.service(),
                            request.signedHeaders(hasToken()))),
                new Splicer.Piece.Secret(signature))));
  }

  @Override
  public void close() {
    accessKeyId.close();
    signature.close();
    token.close();
  }
}
