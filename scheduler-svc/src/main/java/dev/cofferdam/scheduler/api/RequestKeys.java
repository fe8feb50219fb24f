package dev.cofferdam.scheduler.api;

import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.Message;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.scheduler.store.Fingerprint;
import dev.cofferdam.scheduler.store.RequestStore.RequestKey;
import dev.cofferdam.v1.ErrorReason;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** Request ids of creates, with what tells one request from another. Pure. */
final class RequestKeys {
  private static final int MAX = 64;

  private RequestKeys() {}

  /**
   * @param id empty: not idempotent
   * @param content the request without its id
   */
  static Optional<RequestKey> key(String id, Message content) {
    if (id.isEmpty()) {
      return Optional.empty();
    }
    if (id.codePointCount(0, id.length()) > MAX || id.chars().anyMatch(Character::isISOControl)) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "request_id is %s, expected at most %d characters without control characters"
              .formatted(Texts.quoted(id), MAX));
    }
    return Optional.of(new RequestKey(id, fingerprint(content)));
  }

  /** Of its type too, for other types have the same bytes; maps in one order. */
  private static Fingerprint fingerprint(Message content) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes(
        content.getDescriptorForType().getFullName().getBytes(StandardCharsets.US_ASCII));
    bytes.write(0);
    CodedOutputStream out = CodedOutputStream.newInstance(bytes);
    out.useDeterministicSerialization();
    try {
      content.writeTo(out);
      out.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return Fingerprint.ofContent(bytes.toByteArray());
  }
}
