package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.Headers;
import java.util.List;
import java.util.Optional;

/** A signature by HMAC, what is written with it, and perhaps the time that was signed. */
final class HmacSignature implements Signature {
  private final HmacRequest request;
  private final SecretValue signature;
  private final SecretValue value;
  private final SecretValue timestamp;

  HmacSignature(HmacRequest request, SecretValue answer) {
    List<SecretValue> lines = Signature.lines(answer);
    this.request = request;
    this.signature = lines.get(0);
    this.value = lines.get(1);
    this.timestamp = lines.get(2);
  }

  @Override
  public List<SecretValue> parts() {
    return List.of(signature);
  }

  @Override
  public Optional<SecretValue> inTarget() {
    return request.header().isEmpty() ? Optional.of(value) : Optional.empty();
  }

  @Override
  public Headers prepared(Headers headers) {
    return timestamp.length() > 0 ? headers.with(request.timestampHeader(), "") : headers;
  }

  @Override
  public Optional<SecretValue> of(Header header) {
    if (!request.header().isEmpty()
        && header.is(request.header())
        && header.value().strip().equals(request.placeholder())) {
      return Optional.of(Signature.copy(value));
    }
    return timestamp.length() > 0 && header.is(request.timestampHeader())
        ? Optional.of(Signature.copy(timestamp))
        : Optional.empty();
  }

  @Override
  public void close() {
    signature.close();
    value.close();
    timestamp.close();
  }
}
