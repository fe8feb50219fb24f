package dev.cofferdam.broker.sign;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.policy.Hmac;
import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.kit.egress.SigningTemplate;
import dev.cofferdam.kit.egress.SigningTemplate.Variable;
import dev.cofferdam.v1.HmacHash;
import dev.cofferdam.v1.HmacTimestamp;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.function.Supplier;

/** HMAC over parts of a request. The key, and the signature, are off the heap throughout. */
public final class HmacSigner {
  private HmacSigner() {}

  /** A piece of what is signed. */
  public sealed interface Part {
    /**
     * @param text one character for each byte
     */
    record Text(String text) implements Part {}

    record Bytes(ByteString bytes) implements Part {}
  }

  /**
   * @param timestamp told where the binding wants it
   */
  public record Input(List<Part> message, String timestamp) {
    public Input {
      message = List.copyOf(message);
    }
  }

  public static String timestamp(HmacTimestamp form, Instant now) {
    return switch (form) {
      case HMAC_TIMESTAMP_UNIX_MILLIS -> Long.toString(now.toEpochMilli());
      case HMAC_TIMESTAMP_RFC3339 -> now.truncatedTo(ChronoUnit.SECONDS).toString();
      case HMAC_TIMESTAMP_UNIX_SECONDS, HMAC_TIMESTAMP_UNSPECIFIED, UNRECOGNIZED ->
          Long.toString(now.getEpochSecond());
    };
  }

  /**
   * @param value that {@link KeyBytes#check} accepted
   * @return the signature, the header's value and the timestamp where it has a header, with LF
   *     between them; for the caller to close
   */
  public static SecretValue sign(Hmac by, Input input, SecretValue value) {
    Supplier<Digest> hash =
        by.spec().getHash() == HmacHash.HMAC_HASH_SHA512 ? Sha512::new : Sha256::new;
    try (Arena arena = Arena.ofConfined();
        SecretValue key = KeyBytes.of(value, by.spec().getKey())) {
      MemorySegment signature = arena.allocate(length(hash));
      try {
        dev.cofferdam.broker.sign.Hmac.sign(
            hash, key.segment(), digest -> write(input.message(), digest), signature);
        try (SecretValue text = KeyBytes.written(signature, by.spec().getEncoding())) {
          return answer(by, input, text.segment());
        }
      } finally {
        signature.fill((byte) 0);
      }
    }
  }

  private static int length(Supplier<Digest> hash) {
    try (Digest digest = hash.get()) {
      return digest.length();
    }
  }

  private static void write(List<Part> message, Digest digest) {
    for (Part part : message) {
      switch (part) {
        case Part.Text(String text) -> digest.update(text);
        case Part.Bytes(ByteString bytes) -> {
          for (int i = 0; i < bytes.size(); i++) {
            digest.update(bytes.byteAt(i));
          }
        }
      }
    }
  }

  private static SecretValue answer(Hmac by, Input input, MemorySegment signature) {
    String told = by.spec().getTimestampHeader().isEmpty() ? "" : input.timestamp();
    List<SigningTemplate.Piece> pieces = by.value().pieces();
    long length = signature.byteSize() + told.length() + 2;
    for (SigningTemplate.Piece piece : pieces) {
      length +=
          piece.variable() == Variable.SIGNATURE
              ? signature.byteSize()
              : text(piece, input).length();
    }
    SecretValue answer = SecretValue.ofLength(length);
    MemorySegment out = answer.segment();
    MemorySegment.copy(signature, 0, out, 0, signature.byteSize());
    long at = put(out, signature.byteSize(), "\n");
    for (SigningTemplate.Piece piece : pieces) {
      if (piece.variable() == Variable.SIGNATURE) {
        MemorySegment.copy(signature, 0, out, at, signature.byteSize());
        at += signature.byteSize();
      } else {
        at = put(out, at, text(piece, input));
      }
    }
    var _ = put(out, put(out, at, "\n"), told);
    return answer;
  }

  private static String text(SigningTemplate.Piece piece, Input input) {
    return piece.variable() == Variable.TIMESTAMP ? input.timestamp() : piece.text();
  }

  private static long put(MemorySegment out, long at, String text) {
    for (int i = 0; i < text.length(); i++) {
      out.set(ValueLayout.JAVA_BYTE, at + i, (byte) text.charAt(i));
    }
    return at + text.length();
  }
}
