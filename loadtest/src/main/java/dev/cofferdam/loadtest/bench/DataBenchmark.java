package dev.cofferdam.loadtest.bench;

import dev.cofferdam.gateway.data.BodySearch;
import dev.cofferdam.gateway.data.DataGuard;
import dev.cofferdam.gateway.policy.DataRules;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.v1.DataAction;
import dev.cofferdam.v1.DataDetector;
import dev.cofferdam.v1.DataRule;
import dev.cofferdam.v1.EgressPolicy;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.List;
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

/** What data rules cost for a body of 64 KiB in which nothing is found, in pieces of 8 KiB. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
public class DataBenchmark {
  private static final int BODY = 64 << 10;
  private static final int PIECE = 8 << 10;
  private static final Host.Name HOST = (Host.Name) Host.parse("api.example.com").orElseThrow();
  private static final RequestHead HEAD =
      new RequestHead(
          "POST",
          "api.example.com",
          "/v1/messages",
          Headers.of("content-type", "application/json"),
          BODY,
          true,
          false);

  private static final String JSON =
      "{\"role\": \"user\", \"text\": \"Say what changed on 2026-11-30 in release 4.2.17: see 3f2a"
          + " 9c1d, https://example.com/a?b=c\"},\\n";

  /** Each nine bytes are to be asked about. */
  private static final String NUMBERS = "+1234567 ";

  private final DataRules detectors =
      rules(
          DataRule.newBuilder()
              .addDetectors(DataDetector.DATA_DETECTOR_CREDENTIALS)
              .addDetectors(DataDetector.DATA_DETECTOR_PRIVATE_KEYS)
              .addDetectors(DataDetector.DATA_DETECTOR_CARD_NUMBERS)
              .addDetectors(DataDetector.DATA_DETECTOR_EMAIL_ADDRESSES)
              .addDetectors(DataDetector.DATA_DETECTOR_IBANS)
              .addDetectors(DataDetector.DATA_DETECTOR_PHONE_NUMBERS));
  private final DataRules credentials =
      rules(DataRule.newBuilder().addDetectors(DataDetector.DATA_DETECTOR_CREDENTIALS));
  private final DataRules phones =
      rules(DataRule.newBuilder().addDetectors(DataDetector.DATA_DETECTOR_PHONE_NUMBERS));
  private final DataRules pattern =
      rules(DataRule.newBuilder().addPatterns("(?i)\\bproject-[0-9]{4}\\b"));
  private final DataRules costliest =
      rules(DataRule.newBuilder().addPatterns("(?:[a-z0-9 ]{1,14}){1,17}#"));

  private final byte[] text = text(JSON);
  private final byte[] numbers = text(NUMBERS);

  private static byte[] text(String unit) {
    return unit.repeat(BODY / unit.length()).getBytes(StandardCharsets.US_ASCII);
  }

  private static DataRules rules(DataRule.Builder rule) {
    return DataRules.compile(
        EgressPolicy.newBuilder().addData(rule.setAction(DataAction.DATA_ACTION_BLOCK)).build());
  }

  private static List<String> search(DataRules rules, byte[] body) {
    DataGuard guard = DataGuard.of(rules, HOST, HEAD).orElseThrow();
    if (guard.judgeHead().isPresent()) {
      throw new IllegalStateException("the benchmark's request is refused");
    }
    try (BodySearch search = guard.body(true, false)) {
      for (int at = 0; at < body.length; at += PIECE) {
        search.add(Unpooled.wrappedBuffer(body, at, Math.min(PIECE, body.length - at)));
        boolean last = at + PIECE >= body.length;
        while (!search.turn(last, ByteBuf::release)) {
          // Another turn.
        }
      }
      if (search.refused().isPresent()) {
        throw new IllegalStateException("the benchmark's body is refused");
      }
    }
    return guard.found();
  }

  /** All that there are. */
  @Benchmark
  public List<String> allDetectors() {
    return search(detectors, text);
  }

  /** That for keys and tokens. */
  @Benchmark
  public List<String> credentials() {
    return search(credentials, text);
  }

  /** That for telephone numbers, with a text made to cost most. */
  @Benchmark
  public List<String> phonesAtWorst() {
    return search(phones, numbers);
  }

  /** One of 20 steps. */
  @Benchmark
  public List<String> aPattern() {
    return search(pattern, text);
  }

  /** As many steps as a policy may have. */
  @Benchmark
  public List<String> theCostliestPattern() {
    return search(costliest, text);
  }
}
