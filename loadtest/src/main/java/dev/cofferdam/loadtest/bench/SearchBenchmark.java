package dev.cofferdam.loadtest.bench;

import dev.cofferdam.gateway.placeholder.BodyScanner;
import dev.cofferdam.gateway.scrub.Scrubber;
import dev.cofferdam.gateway.scrub.SecretValue;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What searching a body of 64 KiB in which nothing is found costs, in pieces of 8 KiB: a request's
 * for placeholders, an answer's for a value.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
public class SearchBenchmark {
  private static final int BODY = 64 << 10;
  private static final int PIECE = 8 << 10;

  private static final String LINE =
      "{\"role\": \"user\", \"text\": \"Say what changed on 2026-11-30 in release 4.2.17: see 3f2a"
          + " 9c1d, https://example.com/a?b=c\"},\\n";

  private static final String VALUE = "sk-live-51HG4kq2eZvKYlo2C0aTb7xWm9R3uEfDsPnJ8iLcQ6yVhO1tA";
  private static final String PLACEHOLDER = "cofferdam_" + "k3JpQ".repeat(8) + "abc";

  private final byte[] json = LINE.repeat(BODY / LINE.length()).getBytes(StandardCharsets.US_ASCII);
  private final byte[] random = random();
  private final byte[] base64 = Base64.getEncoder().encode(random());
  private final byte[] escapes = escapes();

  private static byte[] random() {
    byte[] bytes = new byte[BODY];
    new Random(1).nextBytes(bytes);
    return bytes;
  }

  /** What a text that is not written in ASCII becomes where a server writes its JSON so. */
  private static byte[] escapes() {
    StringBuilder text = new StringBuilder();
    Random random = new Random(2);
    while (text.length() < BODY) {
      text.append("\\u%04x".formatted(0x3041 + random.nextInt(0x56)));
    }
    return text.toString().getBytes(StandardCharsets.US_ASCII);
  }

  /** With everything that is made for one answer, and wiped. */
  private static long scrub(byte[] body) {
    long left = 0;
    try (SecretValue value = new SecretValue(VALUE.length());
        Scrubber scrubber = new Scrubber(List.of(new Scrubber.Secret(value, PLACEHOLDER, false)))) {
      for (int i = 0; i < VALUE.length(); i++) {
        value.set(i, (byte) VALUE.charAt(i));
      }
      for (int at = 0; at < BODY; at += PIECE) {
        int length = Math.min(PIECE, body.length - at);
        var leaving =
            scrubber.feed(
                Unpooled.wrappedBuffer(body, at, length),
                at + PIECE >= BODY,
                PooledByteBufAllocator.DEFAULT);
        left += leaving.readableBytes();
        leaving.release();
      }
      if (scrubber.replaced() > 0) {
        throw new IllegalStateException("a body without the value has it");
      }
    }
    return left;
  }

  private static long search(byte[] body) {
    long left = 0;
    try (BodyScanner scanner = new BodyScanner()) {
      for (int at = 0; at < BODY; at += PIECE) {
        int length = Math.min(PIECE, body.length - at);
        var leaving = scanner.feed(Unpooled.wrappedBuffer(body, at, length), at + PIECE >= BODY);
        left += leaving.readableBytes();
        leaving.release();
      }
      if (!scanner.found().isEmpty()) {
        throw new IllegalStateException("a body without a placeholder has one");
      }
    }
    return left;
  }

  @Benchmark
  public long placeholdersInJson() {
    return search(json);
  }

  @Benchmark
  public long placeholdersInBase64() {
    return search(base64);
  }

  @Benchmark
  public long placeholdersInRandomBytes() {
    return search(random);
  }

  @Benchmark
  public long placeholdersInEscapes() {
    return search(escapes);
  }

  @Benchmark
  public long valueInJson() {
    return scrub(json);
  }

  @Benchmark
  public long valueInBase64() {
    return scrub(base64);
  }

  @Benchmark
  public long valueInRandomBytes() {
    return scrub(random);
  }

  @Benchmark
  public long valueInEscapes() {
    return scrub(escapes);
  }
}
