package dev.cofferdam.scheduler.api;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.scheduler.store.Position;
import dev.cofferdam.v1.ErrorReason;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Arrays;
import java.util.Base64;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Predicate;

/**
 * Page tokens and cursors. Both carry a digest of what they belong to, so that one of another
 * tenant, filter or service is refused instead of giving a page that makes no sense. They grant
 * nothing: every query is held to the caller's tenant. Pure.
 */
final class OpaqueTokens {
  private static final int DIGEST = 8;

  private OpaqueTokens() {}

  /**
   * What a page belongs to.
   *
   * @param kind what is listed
   * @param filter of labels
   * @param more what else narrows the list
   */
  record Listing(String kind, String tenant, Map<String, String> filter, String more) {}

  static String page(Listing listing, Position position) {
    byte[] id = position.id().getBytes(StandardCharsets.US_ASCII);
    ByteBuffer bytes = ByteBuffer.allocate(DIGEST + Long.BYTES + id.length);
    bytes.put(pageDigest(listing));
    bytes.putLong(ChronoUnit.MICROS.between(Instant.EPOCH, position.createTime()));
    bytes.put(id);
    return encode(bytes);
  }

  /**
   * Empty for the first page.
   *
   * @param isId of what is listed
   */
  static Optional<Position> parsePage(Listing listing, Predicate<String> isId, String token) {
    if (token.isEmpty()) {
      return Optional.empty();
    }
    ByteBuffer bytes =
        decode(token, ErrorReason.ERROR_REASON_PAGE_TOKEN_INVALID, "page_token", DIGEST + 8);
    requireDigest(
        bytes,
        pageDigest(listing),
        ErrorReason.ERROR_REASON_PAGE_TOKEN_INVALID,
        "page_token belongs to another list");
    Instant time = Instant.EPOCH.plus(bytes.getLong(), ChronoUnit.MICROS);
    byte[] rest = new byte[bytes.remaining()];
    bytes.get(rest);
    String id = new String(rest, StandardCharsets.US_ASCII);
    if (!isId.test(id)) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_PAGE_TOKEN_INVALID, "page_token is not one of this service");
    }
    return Optional.of(new Position(time, id));
  }

  static String cursor(String tenant, long event) {
    ByteBuffer bytes = ByteBuffer.allocate(DIGEST + Long.BYTES);
    bytes.put(cursorDigest(tenant, event));
    bytes.putLong(event);
    return encode(bytes);
  }

  /**
   * 0, before the first event, for an empty one.
   *
   * @param last the largest cursor ever given out
   */
  static long parseCursor(String tenant, String cursor, long last) {
    if (cursor.isEmpty()) {
      return 0;
    }
    ByteBuffer bytes =
        decode(cursor, ErrorReason.ERROR_REASON_CURSOR_INVALID, "cursor", DIGEST + 8);
    long event = bytes.getLong(DIGEST);
    requireDigest(
        bytes,
        cursorDigest(tenant, event),
        ErrorReason.ERROR_REASON_CURSOR_INVALID,
        "cursor is not one of this tenant");
    if (bytes.remaining() != Long.BYTES || event < 0 || event > last) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_CURSOR_INVALID, "cursor is beyond what was given out");
    }
    return event;
  }

  private static ByteBuffer decode(String token, ErrorReason reason, String name, int atLeast) {
    try {
      ByteBuffer bytes = ByteBuffer.wrap(Base64.getUrlDecoder().decode(token));
      if (bytes.remaining() >= atLeast) {
        return bytes;
      }
    } catch (IllegalArgumentException e) {
      // Refused below, as one that is too short is.
    }
    throw new Refusal(reason, name + " is " + Texts.quoted(token) + ", not one of this service");
  }

  private static void requireDigest(
      ByteBuffer bytes, byte[] expected, ErrorReason reason, String message) {
    byte[] digest = new byte[DIGEST];
    bytes.get(digest);
    if (!MessageDigest.isEqual(digest, expected)) {
      throw new Refusal(reason, message);
    }
  }

  private static String encode(ByteBuffer filled) {
    byte[] bytes = new byte[filled.flip().remaining()];
    filled.get(bytes);
    return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
  }

  private static byte[] pageDigest(Listing listing) {
    return digest(
        "page",
        listing.kind(),
        listing.tenant(),
        new TreeMap<>(listing.filter()).toString(),
        listing.more());
  }

  private static byte[] cursorDigest(String tenant, long event) {
    return digest("cursor", tenant, String.valueOf(event));
  }

  private static byte[] digest(String... parts) {
    try {
      MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
      for (String part : parts) {
        byte[] bytes = part.getBytes(StandardCharsets.UTF_8);
        // With its length, so that no two lists of parts run together.
        sha256.update(ByteBuffer.allocate(4).putInt(bytes.length).array());
        sha256.update(bytes);
      }
      return Arrays.copyOf(sha256.digest(), DIGEST);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }
}
