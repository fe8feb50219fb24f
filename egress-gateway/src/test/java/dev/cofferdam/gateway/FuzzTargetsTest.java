package dev.cofferdam.gateway;

import dev.cofferdam.gateway.broker.MaterialisedFuzz;
import dev.cofferdam.gateway.data.DataSearchFuzz;
import dev.cofferdam.gateway.data.LabelledData;
import dev.cofferdam.gateway.dns.DnsQueryFuzz;
import dev.cofferdam.gateway.placeholder.BodyFormatsFuzz;
import dev.cofferdam.gateway.placeholder.BodyScannerFuzz;
import dev.cofferdam.gateway.placeholder.RequestTargetsFuzz;
import dev.cofferdam.gateway.policy.HostFuzz;
import dev.cofferdam.gateway.proxy.ProxyCallsFuzz;
import dev.cofferdam.gateway.scrub.GzipReaderFuzz;
import dev.cofferdam.gateway.tls.ClientHelloFuzz;
import dev.cofferdam.testkit.FuzzInputs;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Consumer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Each target of the fuzzer (Jazzer, which {@code ./cofferdam test --long} runs for many inputs)
 * with those that it begins with, those that it once found, and some that are made of both here.
 */
final class FuzzTargetsTest {
  private static final Map<String, Consumer<byte[]>> TARGETS =
      Map.ofEntries(
          Map.entry("BodyFormats", BodyFormatsFuzz::fuzzerTestOneInput),
          Map.entry("BodyScanner", BodyScannerFuzz::fuzzerTestOneInput),
          Map.entry("ClientHello", ClientHelloFuzz::fuzzerTestOneInput),
          Map.entry("DataSearch", DataSearchFuzz::fuzzerTestOneInput),
          Map.entry("DnsQuery", DnsQueryFuzz::fuzzerTestOneInput),
          Map.entry("GzipReader", GzipReaderFuzz::fuzzerTestOneInput),
          Map.entry("Host", HostFuzz::fuzzerTestOneInput),
          Map.entry("Materialised", MaterialisedFuzz::fuzzerTestOneInput),
          Map.entry("ProxyCalls", ProxyCallsFuzz::fuzzerTestOneInput),
          Map.entry("RequestTargets", RequestTargetsFuzz::fuzzerTestOneInput));

  private static List<byte[]> seeds(String target) throws Exception {
    List<byte[]> seeds = FuzzInputs.seeds(target);
    switch (target) {
      case "ClientHello" -> {
        seeds.add(ClientHellos.of("api.example.test"));
        seeds.add(ClientHellos.withEncrypted("api.example.test"));
      }
      case "GzipReader" ->
          seeds.add(TestUpstream.gzip("some text, some text".getBytes(StandardCharsets.US_ASCII)));
      case "DataSearch" ->
          LabelledData.rows().stream()
              .map(row -> String.join(" ", row.texts().subList(0, 3)))
              .forEach(text -> seeds.add(text.getBytes(StandardCharsets.UTF_8)));
      default -> {}
    }
    return seeds;
  }

  static Set<String> targets() {
    return TARGETS.keySet();
  }

  @ParameterizedTest
  @MethodSource("targets")
  void nothingThatIsThrownAtItBreaksIt(String name) throws Exception {
    Consumer<byte[]> target = Objects.requireNonNull(TARGETS.get(name));
    FuzzInputs.give(name, seeds(name), target);
  }
}
