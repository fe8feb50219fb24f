package dev.cofferdam.loadtest.bench;

import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.policy.Policy;
import dev.cofferdam.gateway.policy.RequestVerdict;
import dev.cofferdam.kit.egress.RequestFacts;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.HttpMatch;
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

/**
 * What judging one request costs, path and headers read anew each time. Of a short policy, as most
 * are, and of one as long as may be, of which only the last rule matches.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
public class PolicyBenchmark {
  private static final Host.Name HOST = (Host.Name) Host.parse("api.example.com").orElseThrow();
  private static final List<RequestFacts.Line> HEADERS =
      List.of(
          new RequestFacts.Line("User-Agent", "bench/1.0"),
          new RequestFacts.Line("Accept", "application/json"),
          new RequestFacts.Line("Content-Type", "application/json; charset=utf-8"),
          new RequestFacts.Line("X-Team", "red"));

  private final Policy hosts = policy(rule(HttpMatch.getDefaultInstance(), "api.example.com"));
  private final Policy paths =
      policy(
          rule(HttpMatch.newBuilder().addPaths("/admin/**").build(), "api.example.com"),
          rule(
              HttpMatch.newBuilder()
                  .addMethods("POST")
                  .addPaths("/repos/*/*/issues/**")
                  .addContentTypes("application/json")
                  .build(),
              "api.example.com"));
  private final Policy expression =
      policy(
          rule(
              HttpMatch.newBuilder()
                  .setWhen(
                      "request.method == 'POST' && request.path.startsWith('/repos/')"
                          + " && request.headers['x-team'] == 'red' && request.size < 1000")
                  .build(),
              "api.example.com"));
  private final Policy longest = longest();

  private static Policy longest() {
    EgressPolicy.Builder policy = EgressPolicy.newBuilder();
    for (int i = 0; i < 255; i++) {
      policy.addRules(
          rule(HttpMatch.newBuilder().addPaths("/other-" + i + "/**").build(), "*.example.com"));
    }
    return Policy.compile(
        policy.addRules(rule(HttpMatch.getDefaultInstance(), "api.example.com")).build());
  }

  private static EgressRule rule(HttpMatch match, String host) {
    EgressRule.Builder rule = EgressRule.newBuilder().setHost(host);
    return match.equals(HttpMatch.getDefaultInstance())
        ? rule.build()
        : rule.setHttp(match).build();
  }

  private static Policy policy(EgressRule... rules) {
    return Policy.compile(EgressPolicy.newBuilder().addAllRules(List.of(rules)).build());
  }

  private static RequestVerdict judge(Policy policy) {
    RequestFacts facts =
        new RequestFacts(
            "POST", HOST.value(), "/repos/cofferdam/main/issues/7?page=2", () -> HEADERS, 512);
    RequestVerdict verdict = policy.judge(facts, HOST, 443);
    if (!(verdict instanceof RequestVerdict.Let)) {
      throw new IllegalStateException("the benchmark's request is refused: " + verdict);
    }
    return verdict;
  }

  /** One rule of a host. */
  @Benchmark
  public RequestVerdict aHost() {
    return judge(hosts);
  }

  /** Two rules with methods, paths, content types. */
  @Benchmark
  public RequestVerdict paths() {
    return judge(paths);
  }

  /** One rule with an expression. */
  @Benchmark
  public RequestVerdict anExpression() {
    return judge(expression);
  }

  /** 256 rules. */
  @Benchmark
  public RequestVerdict theLongest() {
    return judge(longest);
  }
}
