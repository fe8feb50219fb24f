package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.data.DataSearchFuzz;
import dev.cofferdam.gateway.data.LabelledData;
import dev.cofferdam.gateway.dns.DnsQueryFuzz;
import dev.cofferdam.gateway.http.Http1AnswersFuzz;
import dev.cofferdam.gateway.http.Http1RequestsFuzz;
import dev.cofferdam.gateway.placeholder.BodyScannerFuzz;
import dev.cofferdam.gateway.policy.HostFuzz;
import dev.cofferdam.gateway.scrub.GzipReaderFuzz;
import dev.cofferdam.gateway.tls.ClientHelloFuzz;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Each target of the fuzzer (Jazzer, which {@code ./cofferdam test --long} runs for many inputs)
 * with those that it begins with, those that it once found, and some that are made of both here.
 */
final class FuzzTargetsTest {
  private static final int MADE_UP = 3_000;

  private static final Map<String, Consumer<byte[]>> TARGETS =
      Map.of(
          "Http1Requests", Http1RequestsFuzz::fuzzerTestOneInput,
          "Http1Answers", Http1AnswersFuzz::fuzzerTestOneInput,
          "ClientHello", ClientHelloFuzz::fuzzerTestOneInput,
          "GzipReader", GzipReaderFuzz::fuzzerTestOneInput,
          "BodyScanner", BodyScannerFuzz::fuzzerTestOneInput,
          "DataSearch", DataSearchFuzz::fuzzerTestOneInput,
          "Host", HostFuzz::fuzzerTestOneInput,
          "DnsQuery", DnsQueryFuzz::fuzzerTestOneInput);

  private static List<byte[]> seeds(String target) throws Exception {
    List<byte[]> seeds = new ArrayList<>();
    try (Stream<Path> files = Files.list(Path.of("src/test/resources/fuzz", target))) {
      for (Path file : files.sorted().toList()) {
        seeds.add(Files.readAllBytes(file));
      }
    }
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

  @ParameterizedTest
  @ValueSource(
      strings = {
        "Http1Requests",
        "Http1Answers",
        "ClientHello",
        "GzipReader",
        "BodyScanner",
        "DataSearch",
        "Host",
        "DnsQuery"
      })
  void nothingThatIsThrownAtItBreaksIt(String name) throws Exception {
    Consumer<byte[]> target = Objects.requireNonNull(TARGETS.get(name));
    List<byte[]> seeds = seeds(name);
    assertThat(seeds).isNotEmpty();
    seeds.forEach(target);
    Random random = new Random(name.hashCode());
    for (int i = 0; i < MADE_UP; i++) {
      target.accept(
          changed(
              seeds.get(random.nextInt(seeds.size())),
              seeds.get(random.nextInt(seeds.size())),
              random));
    }
  }

  /** The beginning of one and the end of another, with some bytes changed. */
  private static byte[] changed(byte[] one, byte[] other, Random random) {
    int cut = random.nextInt(one.length + 1);
    int from =
        random.nextBoolean() ? Math.min(cut, other.length) : random.nextInt(other.length + 1);
    byte[] made = Arrays.copyOf(one, cut + other.length - from);
    System.arraycopy(other, from, made, cut, other.length - from);
    for (int flips = random.nextInt(4); flips > 0 && made.length > 0; flips--) {
      made[random.nextInt(made.length)] =
          random.nextBoolean()
              ? (byte) random.nextInt()
              : (byte) "\r\n :;,.0\t\0%".charAt(random.nextInt(11));
    }
    return made;
  }
}
