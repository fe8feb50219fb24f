package dev.cofferdam.loadtest.bench;

import dev.cofferdam.gateway.placeholder.BodyScanner;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
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

/** What the search for placeholders costs for a body of 64 KiB without one, in pieces of 8 KiB. */
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

  private final byte[] json = LINE.repeat(BODY / LINE.length()).getBytes(StandardCharsets.US_ASCII);
  private final byte[] random = random();
  private final byte[] base64 = Base64.getEncoder().encode(random());

  private static byte[] random() {
    byte[] bytes = new byte[BODY];
    new Random(1).nextBytes(bytes);
    return bytes;
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
}
