package dev.cofferdam.gateway.scrub;

import dev.cofferdam.gateway.match.Needle;
import dev.cofferdam.gateway.match.StreamMatcher;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Puts the placeholder back wherever an answer holds the value: as it is, escaped, hexadecimal or
 * in base64. A few bits of the value's first and last byte may remain in the base64 digits that
 * they share with their neighbours. What a server made of the value in any other way is not found.
 *
 * <p>One for each answer, since it keeps the bytes in which a value may have begun; one thread at a
 * time. The values have to live as long.
 */
public final class Scrubber implements AutoCloseable {
  /** A value that was put into the request of this answer. */
  public record Secret(SecretValue value, String placeholder, boolean weak) {}

  /** Fewer base64 digits than this are found in any text. */
  private static final int FEWEST_DIGITS = 4;

  /** So many bytes are searched without a table, which costs as much to make. */
  private static final int SHORT = 1 << 10;

  private final StreamMatcher matcher;
  private final Tail tail;
  private final List<Secret> byNeedle = new ArrayList<>();
  private ByteBuf kept = Unpooled.EMPTY_BUFFER;
  private boolean weakSeen;
  private int replaced;
  private long searched;
  private Optional<ValueMemory.Block> table = Optional.empty();

  public Scrubber(List<Secret> secrets) {
    this(secrets, 0);
  }

  /**
   * @param replaced by the one in whose place this is
   */
  public Scrubber(List<Secret> secrets, int replaced) {
    this.replaced = replaced;
    List<Needle> needles = new ArrayList<>();
    for (Secret secret : secrets) {
      SecretValue value = secret.value();
      add(needles, secret, new Needle(new ValuePattern.Raw(value), Needle.Form.EXACT));
      for (Needle escaped : Needle.escaped(new ValuePattern.Raw(value))) {
        add(needles, secret, escaped);
      }
      add(needles, secret, new Needle(new ValuePattern.Hex(value), Needle.Form.EXACT));
      for (int alignment = 0; alignment < 3; alignment++) {
        ValuePattern.Base64 base64 = new ValuePattern.Base64(value, alignment);
        if (base64.length() >= FEWEST_DIGITS) {
          add(needles, secret, new Needle(base64, Needle.Form.FOLDED));
        }
      }
    }
    this.matcher = new StreamMatcher(needles);
    this.tail = Tail.of(secrets.stream().map(Secret::value).toList());
  }

  private void add(List<Needle> needles, Secret secret, Needle needle) {
    needles.add(needle);
    byNeedle.add(secret);
  }

  /**
   * What of its end is kept back depends on no value.
   *
   * @param chunk is released
   * @param last no value goes on behind it: what was kept back comes out
   * @return for the caller to release
   */
  public ByteBuf feed(ByteBuf chunk, boolean last, ByteBufAllocator allocator) {
    ByteBuf all = kept.isReadable() ? Unpooled.wrappedBuffer(kept, chunk) : chunk;
    kept = Unpooled.EMPTY_BUFFER;
    searched += all.readableBytes();
    if (searched > SHORT && table.isEmpty()) {
      ValueMemory.Block block = ValueMemory.take(StreamMatcher.TABLE_BYTES);
      table = Optional.of(block);
      matcher.hasten(block.bytes());
    }
    try (Replacer replacer = new Replacer(allocator)) {
      int from = all.readerIndex();
      int end = all.writerIndex();
      int until = last ? end : end - tail.length(all, chunk);
      int keep = matcher.scan(all, from, until, end, replacer);
      if (end > keep) {
        kept = allocator.directBuffer(end - keep);
        kept.writeBytes(all, keep, end - keep);
      }
      return replacer.clean();
    } finally {
      all.release();
    }
  }

  /**
   * For what is there as a whole, such as a header. Independent of what was fed.
   *
   * @param text is released
   * @return for the caller to release
   */
  public ByteBuf whole(ByteBuf text, ByteBufAllocator allocator) {
    try (Replacer replacer = new Replacer(allocator)) {
      matcher.scan(text, text.readerIndex(), text.writerIndex(), true, 0, replacer);
      return replacer.clean();
    } finally {
      text.release();
    }
  }

  /** Whether a value that must not even be hinted at was in the answer. */
  public boolean weakSeen() {
    return weakSeen;
  }

  /** Values that were found and replaced so far. */
  public int replaced() {
    return replaced;
  }

  @Override
  public void close() {
    kept.release();
    kept = Unpooled.EMPTY_BUFFER;
    matcher.slow();
    table.ifPresent(ValueMemory.Block::giveBack);
    table = Optional.empty();
  }

  /** Copies nothing of a text in which nothing is found: what leaves then is a part of it. */
  private final class Replacer implements StreamMatcher.Sink, AutoCloseable {
    private final ByteBufAllocator allocator;

    /** A part of the text with nothing before it. */
    private ByteBuf first = Unpooled.EMPTY_BUFFER;

    private Optional<ByteBuf> copy = Optional.empty();

    Replacer(ByteBufAllocator allocator) {
      this.allocator = allocator;
    }

    @Override
    public void clean(ByteBuf in, int from, int length) {
      if (copy.isPresent()) {
        copy.get().writeBytes(in, from, length);
      } else {
        first = in.retainedSlice(from, length);
      }
    }

    @Override
    public void found(int needle, ByteBuf in, int from, int length) {
      Secret secret = byNeedle.get(needle);
      weakSeen |= secret.weak();
      replaced++;
      if (copy.isEmpty()) {
        copy = Optional.of(allocator.directBuffer(in.readableBytes()).writeBytes(first));
      }
      copy.get().writeCharSequence(secret.placeholder(), StandardCharsets.US_ASCII);
    }

    /** For the caller to release. */
    ByteBuf clean() {
      return copy.orElse(first).retain();
    }

    @Override
    public void close() {
      first.release();
      copy.ifPresent(ByteBuf::release);
    }
  }
}
