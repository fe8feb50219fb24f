package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.http.Header;
import dev.cofferdam.gateway.placeholder.Aws4;
import dev.cofferdam.gateway.scrub.SecretValue;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** What the broker gave for a request that it signed. Of the key itself nothing is in it. */
final class Signature implements AutoCloseable {
  private static final int LINES = 3;

  private final SignedRequest request;
  private final SecretValue accessKeyId;
  private final SecretValue signature;
  private final SecretValue token;

  /**
   * @param answer of three lines; stays the caller's
   */
  Signature(SignedRequest request, SecretValue answer) {
    List<Integer> ends = new ArrayList<>();
    for (int i = 0; i < answer.length(); i++) {
      if (answer.at(i) == '\n') {
        ends.add(i);
      }
    }
    ends.add(answer.length());
    if (ends.size() != LINES) {
      throw new IllegalArgumentException(
          "the broker's signature has %d lines, expected %d".formatted(ends.size(), LINES));
    }
    this.request = request;
    this.accessKeyId = slice(answer, 0, ends.get(0));
    this.signature = slice(answer, ends.get(0) + 1, ends.get(1));
    this.token = slice(answer, ends.get(1) + 1, ends.get(2));
  }

  private static SecretValue slice(SecretValue from, int start, int end) {
    SecretValue slice = new SecretValue(end - start);
    for (int i = start; i < end; i++) {
      slice.set(i - start, (byte) from.at(i));
    }
    return slice;
  }

  /** What is in it and must not come back to the guest. */
  List<SecretValue> parts() {
    return token.length() > 0
        ? List.of(accessKeyId, signature, token)
        : List.of(accessKeyId, signature);
  }

  /** Whether there is a header for a session's token to add. */
  boolean hasToken() {
    return token.length() > 0;
  }

  /** The value to send in a header; empty where it stays as it is. */
  Optional<SecretValue> of(Header header) {
    if (header.is(SignedRequest.TOKEN)) {
      return Optional.of(slice(token, 0, token.length()));
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
