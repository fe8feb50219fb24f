package dev.cofferdam.gateway.proxy;

import com.google.protobuf.ByteString;
import dev.cofferdam.gateway.data.BodySearch;
import dev.cofferdam.gateway.data.Refusal;
import dev.cofferdam.gateway.placeholder.BodyScanner;
import dev.cofferdam.gateway.placeholder.Candidates;
import dev.cofferdam.gateway.scrub.GzipReader;
import dev.cofferdam.kit.http.Headers;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A request's body on its way: searched for placeholders, also inside gzip, and kept until the
 * upstream is there. One thread at a time.
 */
final class RequestBody implements AutoCloseable {
  /** What a packed body may become; more is not searched but refused. */
  private static final long MAX_UNPACKED = 256L << 20;

  /** What is unpacked in one turn: a few milliseconds' work. */
  static final long TURN = 1 << 20;

  /** The body cannot be searched. */
  static final class UnreadableException extends Exception {
    private static final long serialVersionUID = 1L;
    private final boolean tooLarge;

    UnreadableException(String message, boolean tooLarge) {
      super(message, null, false, false);
      this.tooLarge = tooLarge;
    }

    boolean tooLarge() {
      return tooLarge;
    }
  }

  private final ByteBufAllocator allocator;
  private final BodyScanner plain = new BodyScanner();
  private final Optional<GzipReader> unpacker;
  private final BodyScanner unpacked = new BodyScanner();
  private final Deque<ByteBuf> waiting = new ArrayDeque<>();
  private long waitingBytes;
  private long unpackedBytes;
  private boolean ended;

  /** What it may be as a whole, packed or not; 0: it leaves piece by piece. */
  private long most;

  /** What was unpacked of one that is kept. */
  private final List<ByteBuf> kept = new ArrayList<>();

  /** There is more to unpack: what waits may not leave. */
  private boolean behind;

  private long bytes;

  /** What went out, or is to. */
  private long leaving;

  /** By data rules. */
  private Optional<BodySearch> data = Optional.empty();

  RequestBody(Headers headers, ByteBufAllocator allocator) {
    this.allocator = allocator;
    this.unpacker = packed(headers) ? Optional.of(new GzipReader(this::beside)) : Optional.empty();
  }

  private void beside(int value) {
    data.ifPresent(search -> search.beside(value));
  }

  static boolean packed(Headers headers) {
    return headers
        .first("content-encoding")
        .map(coding -> coding.strip().toLowerCase(Locale.ROOT))
        .filter(coding -> coding.equals("gzip") || coding.equals("x-gzip"))
        .isPresent();
  }

  /** Whether the coding is one that can be looked into. */
  static boolean readable(Headers headers) {
    return !Grpc.packed(headers)
        && (headers.all("content-encoding").stream()
                .allMatch(coding -> coding.strip().equalsIgnoreCase("identity"))
            || (headers.all("content-encoding").size() == 1 && packed(headers)));
  }

  /**
   * Before its first part: nothing leaves before all of it is there.
   *
   * @param limit in bytes, packed or not
   */
  void keep(long limit) {
    most = limit;
  }

  /** Before its first part: by these data rules. */
  void search(BodySearch by) {
    data = Optional.of(by);
  }

  /** What a data rule does not let out. */
  Optional<Refusal> unwanted() {
    return data.flatMap(BodySearch::refused);
  }

  boolean mayRewrite() {
    return data.isPresent() && data.get().mayRewrite();
  }

  /** Once it has ended: all of it, unpacked, for the caller to release. */
  ByteBuf whole() {
    List<ByteBuf> parts = unpacker.isPresent() ? kept : List.copyOf(waiting);
    return Unpooled.wrappedBuffer(
        parts.stream().map(ByteBuf::retainedDuplicate).toArray(ByteBuf[]::new));
  }

  /** Of one that is kept, once it has ended: SHA-256 of what leaves, in hexadecimal. */
  String sha256() {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      waiting.forEach(part -> digest.update(part.nioBuffer()));
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }

  /** Of one that is kept, once it has ended: all of it, as it leaves. */
  ByteString content() {
    return ByteString.copyFrom(
        waiting.stream().map(part -> ByteString.copyFrom(part.nioBuffer())).toList());
  }

  /** Puts another in the place of one that was kept; takes it over. */
  void replace(ByteBuf other) {
    waiting.forEach(ByteBuf::release);
    waiting.clear();
    waiting.add(other);
    waitingBytes = other.readableBytes();
    bytes = waitingBytes;
    leaving = waitingBytes;
  }

  /** Takes a part over; {@link #poll} gives out what may leave once it was searched. */
  void add(ByteBuf part, boolean last) {
    bytes += part.readableBytes();
    unpacker.ifPresent(reader -> reader.feed(part.retainedSlice()));
    ended = last;
    ByteBuf clean = plain.feed(part, last);
    if (data.isPresent() && unpacker.isEmpty()) {
      data.get().add(clean);
    } else {
      leaves(clean);
    }
    behind = unpacker.isPresent() || data.isPresent();
  }

  private void leaves(ByteBuf part) {
    waitingBytes += part.readableBytes();
    leaving += part.readableBytes();
    waiting.add(part);
  }

  /**
   * Unpacks and searches as much as one turn may take.
   *
   * @return whether all that was added has been searched
   */
  boolean search() throws UnreadableException {
    if (most > 0 && waitingBytes() > most) {
      throw tooLarge(most);
    }
    if (!behind) {
      return true;
    }
    try {
      behind = unpacker.isPresent() && !unpack(unpacker.get());
    } catch (GzipReader.CorruptException e) {
      throw new UnreadableException("the body is not what its Content-Encoding says", false);
    }
    if (!behind && ended && unpacker.isPresent()) {
      take(unpacked.feed(Unpooled.EMPTY_BUFFER, true));
    }
    if (data.isPresent()) {
      boolean all = data.get().turn(ended && !behind, this::leavesOrWasUnpacked);
      behind |= !all;
      if (data.get().unreadable()) {
        throw new UnreadableException(
            "a message of the body is packed or none of gRPC, which the policy's data rules cannot"
                + " search",
            false);
      }
    }
    return !behind;
  }

  /** Whether it needs more input to go on. */
  private boolean unpack(GzipReader reader)
      throws UnreadableException, GzipReader.CorruptException {
    for (long end = unpackedBytes + data.map(BodySearch::turnBytes).orElse((int) TURN);
        unpackedBytes < end; ) {
      Optional<ByteBuf> piece = reader.next(allocator);
      if (piece.isEmpty()) {
        return true;
      }
      unpackedBytes += piece.get().readableBytes();
      long limit = most > 0 ? most : MAX_UNPACKED;
      if (unpackedBytes > limit) {
        piece.get().release();
        throw tooLarge(limit);
      }
      take(unpacked.feed(piece.get(), false));
    }
    return false;
  }

  private void leavesOrWasUnpacked(ByteBuf part) {
    if (unpacker.isPresent()) {
      part.release();
    } else {
      leaves(part);
    }
  }

  private void take(ByteBuf clean) {
    data.ifPresent(search -> search.add(clean.retainedDuplicate()));
    if (most > 0) {
      kept.add(clean);
    } else {
      clean.release();
    }
  }

  static UnreadableException tooLarge(long most) {
    return new UnreadableException(
        "the body, packed or not, has more than the %d bytes that are looked into".formatted(most),
        true);
  }

  /**
   * The placeholders found so far. Of one that is kept and packed those inside, for it is their
   * bytes that count; where there are none, those beside them, such as in a comment of gzip.
   */
  List<Candidates.Found> found() {
    List<Candidates.Found> found = new ArrayList<>(unpacked.found());
    if (most == 0 || found.isEmpty()) {
      found.addAll(plain.found());
    }
    return found;
  }

  long waitingBytes() {
    return waitingBytes + (unpacker.isPresent() ? 0 : data.map(BodySearch::pending).orElse(0L));
  }

  long bytes() {
    return bytes;
  }

  /** Bytes that left or wait; once it has ended, all of it. */
  long leaving() {
    return leaving;
  }

  /** The next part that may leave, for the caller to release. */
  Optional<ByteBuf> poll() {
    @Nullable ByteBuf next = behind ? null : waiting.poll();
    if (next != null) {
      waitingBytes -= next.readableBytes();
    }
    return Optional.ofNullable(next);
  }

  @Override
  public void close() {
    plain.close();
    unpacked.close();
    unpacker.ifPresent(GzipReader::close);
    data.ifPresent(BodySearch::close);
    waiting.forEach(ByteBuf::release);
    waiting.clear();
    kept.forEach(ByteBuf::release);
    kept.clear();
  }
}
