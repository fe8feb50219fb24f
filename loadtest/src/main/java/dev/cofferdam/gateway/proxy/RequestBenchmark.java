package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.http.OutgoingRequest;
import dev.cofferdam.gateway.placeholder.Binding;
import dev.cofferdam.gateway.placeholder.Grant;
import dev.cofferdam.gateway.placeholder.Judge;
import dev.cofferdam.gateway.placeholder.PlaceholderHash;
import dev.cofferdam.gateway.placeholder.Target;
import dev.cofferdam.gateway.placeholder.Template;
import dev.cofferdam.gateway.placeholder.Use;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.policy.HostPattern;
import dev.cofferdam.gateway.policy.Policy;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.kit.egress.PlaceholderForm;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.HttpMatch;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import java.net.InetAddress;
import java.util.List;
import java.util.Optional;
import java.util.Set;
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
 * What the gateway's own work on one request without a body costs, less its connections and the
 * broker: judged by the policy, searched for placeholders, these judged by the grants; with a
 * secret the value put in, the answer's scrubber made for it, the request written and everything
 * zeroed. It stands in the gateway's package because that is where these parts are put together.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class RequestBenchmark {
  private static final Host.Name HOST = (Host.Name) Host.parse("api.example.com").orElseThrow();
  private static final String PLACEHOLDER =
      PlaceholderForm.USUAL.mark() + "x".repeat(PlaceholderForm.USUAL.tail());
  private static final int VALUE_LENGTH = 64;

  private final Attachment attachment = attachment();
  private final RequestHead plain = head("Bearer 0123456789abcdef0123456789abcdef");
  private final RequestHead substituted = head("Bearer " + PLACEHOLDER);

  private static Attachment attachment() {
    Grant grant =
        new Grant(
            "gr-1",
            "api-key",
            PlaceholderHash.of(PLACEHOLDER),
            Set.of(),
            List.of(
                new Binding(
                    List.of(HostPattern.parse("api.example.com")),
                    Set.of(Target.parse("header:authorization").orElseThrow()),
                    1,
                    false,
                    false,
                    Optional.empty())),
            false,
            Optional.empty());
    Policy policy =
        Policy.compile(
            EgressPolicy.newBuilder()
                .addRules(
                    EgressRule.newBuilder()
                        .setHost("api.example.com")
                        .setHttp(HttpMatch.newBuilder().addPaths("/admin/**")))
                .addRules(
                    EgressRule.newBuilder()
                        .setHost("api.example.com")
                        .setHttp(
                            HttpMatch.newBuilder()
                                .addMethods("GET")
                                .addPaths("/repos/*/*/issues/**")))
                .build());
    return new Attachment(
        "sb-1",
        "tenant",
        "lineage",
        1,
        1,
        "node",
        InetAddress.getLoopbackAddress(),
        policy,
        1,
        List.of(grant),
        new Judge(List.of(grant)),
        Optional.empty());
  }

  private static RequestHead head(String authorization) {
    return new RequestHead(
        "GET",
        HOST.value(),
        "/repos/cofferdam/main/issues/7?page=2&per_page=100",
        Headers.of(
            "user-agent", "bench/1.0 (a client as they are, with a longish name)",
            "accept", "application/json",
            "accept-encoding", "gzip, deflate",
            "authorization", authorization,
            "cookie", "session=3f2a9c1d5b7e4f60a1b2c3d4e5f60718; theme=dark",
            "connection", "keep-alive"),
        0,
        true,
        false);
  }

  private RequestDecision.Go judge(RequestHead head, int uses) {
    if (RequestDecision.decide(attachment, head, 443, true, Optional.of(HOST), Optional.of(HOST))
            instanceof RequestDecision.Go go
        && go.uses().size() == uses) {
      return go;
    }
    throw new IllegalStateException("the benchmark's request is not let through as it should be");
  }

  /** As the broker's answer brings them. */
  private static SecretValue value(Use use) {
    SecretValue value = new SecretValue(VALUE_LENGTH);
    for (int i = 0; i < VALUE_LENGTH; i++) {
      value.set(i, (byte) ('a' + i % 26 + use.occurrences() - 1));
    }
    return value;
  }

  private static int write(OutgoingRequest request) {
    ByteBuf out = PooledByteBufAllocator.DEFAULT.directBuffer(1024);
    request
        .sealed()
        .values()
        .forEach(value -> {
          value.writeTo(out);
          value.close();
        });
    int written = out.readableBytes();
    out.release();
    return written;
  }

  /** A request in which there is no placeholder. */
  @Benchmark
  public OutgoingRequest policyAndSearch() throws Template.UnrepresentableException {
    RequestDecision.Go go = judge(plain, 0);
    return UpstreamRequest.of(go.head(), go.host(), 0, true, false, Optional.empty());
  }

  /** A request with one in a header. */
  @Benchmark
  public int policyAndSubstitution() throws Template.UnrepresentableException {
    RequestDecision.Go go = judge(substituted, 1);
    List<SecretValue> values = go.uses().stream().map(RequestBenchmark::value).toList();
    try (Secrets secrets = new Secrets(go.uses(), values, Optional.empty())) {
      int written =
          write(UpstreamRequest.of(go.head(), go.host(), 0, true, false, Optional.of(secrets)));
      if (written < VALUE_LENGTH) {
        throw new IllegalStateException("the value is not in the benchmark's request");
      }
      return written;
    }
  }
}
