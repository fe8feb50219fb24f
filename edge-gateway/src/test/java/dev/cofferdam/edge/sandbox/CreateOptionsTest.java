package dev.cofferdam.edge.sandbox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.v1.EgressPolicy;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class CreateOptionsTest {
  private static final Instant NOW = Instant.parse("2026-03-01T12:00:00Z");

  private static CreateOptions parse(String json, int values) throws HttpError {
    return CreateOptions.parse(json, values, NOW, 1280);
  }

  @Test
  void asThePythonSdkWritesIt() throws HttpError {
    CreateOptions options =
        parse(
            """
            {"memory_mb":2048,"debug":true,"region":"ams1","env":{"A_B":"c"},"timeout":"2m",
             "labels":{"x":"y"},"volumes":{"/data":"data"},"allow_net":["a.test"],
             "secrets":{"KEY":{"hosts":["b.test"],"value":""}},"ssh":false,"port":8000}
            """,
            1);
    assertThat(options.lifetime()).contains(Duration.ofMinutes(2));
    assertThat(options.memoryMib()).isEqualTo(2048);
    assertThat(options.env()).isEqualTo(Map.of("A_B", "c"));
    assertThat(options.labels()).isEqualTo(Map.of("x", "y"));
    assertThat(options.volumes()).isEqualTo(Map.of("/data", "data"));
    assertThat(options.hosts()).containsExactly("a.test");
    assertThat(options.region()).contains("ams1");
    assertThat(options.port()).contains(8000);
    assertThat(options.secrets()).containsOnlyKeys("KEY");
  }

  @Test
  void asTheJavaScriptSdkWritesIt() throws HttpError {
    CreateOptions options =
        parse(
            """
            {"stop_at_ms":%d,"memory_mb":1280,"volumes":[{"volume":"data","path":"/d"}],
             "secrets":{"KEY":{"hosts":["b.test","c.test"],"value":""}}}
            """
                .formatted(NOW.plusSeconds(90).toEpochMilli()),
            1);
    assertThat(options.lifetime()).contains(Duration.ofSeconds(90));
    assertThat(options.memoryMib()).as("no size was named").isZero();
    assertThat(options.volumes()).isEqualTo(Map.of("/d", "data"));
    assertThat(options.allowNet()).isEqualTo(Optional.empty());
    assertThat(options.hosts()).as("those of its secrets").containsExactly("b.test", "c.test");
  }

  @Test
  void withoutATimeoutItEndsWithItsSocket() throws HttpError {
    assertThat(parse("{}", 0).lifetime()).isEqualTo(Optional.empty());
    assertThat(parse("{\"timeout\":\"session\"}", 0).lifetime()).isEqualTo(Optional.empty());
    assertThat(parse("{\"timeout\":null}", 0).lifetime()).isEqualTo(Optional.empty());
  }

  @Test
  void portsBeginAt1AndEndAt65535() throws HttpError {
    assertThat(parse("{\"port\":1}", 0).port()).contains(1);
    assertThat(parse("{\"port\":65535}", 0).port()).contains(65535);
    assertThat(parse("{\"port\":null}", 0).port()).isEqualTo(Optional.empty());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "[]|INVALID_CONFIGURATION",
        "{|INVALID_CONFIGURATION",
        "{} {}|INVALID_CONFIGURATION",
        "{\"labels\":{\"a\":1}}|INVALID_CONFIGURATION",
        "{\"memory_mb\":1,\"memory_mb\":2}|INVALID_CONFIGURATION",
        "{\"allow_net\":\"a\"}|INVALID_CONFIGURATION",
        "{\"timeout\":\"5h\"}|INVALID_TIMEOUT",
        "{\"timeout\":\"0s\"}|INVALID_TIMEOUT",
        "{\"stop_at_ms\":1}|INVALID_TIMEOUT",
        "{\"memory_mb\":-1}|INVALID_MEMORY",
        "{\"region\":\"../x\"}|INVALID_REGION",
        "{\"deny_net\":[\"a\"]}|UNKNOWN_OPTION",
        "{\"labels\":{\"deno.create\":\"x\"}}|INVALID_LABEL",
        "{\"root\":{\"snapshot\":\"x\"}}|INVALID_CONFIGURATION",
        "{\"root\":\"x\"}|INVALID_CONFIGURATION",
        "{\"volumes\":{\"/d\":\"deno-snapshot-x\"}}|VOLUME_NOT_FOUND",
        "{\"volumes\":[{\"volume\":\"deno-snapshot-x\",\"path\":\"/d\"}]}|VOLUME_NOT_FOUND",
        "{\"port\":0}|INVALID_PORT",
        "{\"port\":65536}|INVALID_PORT",
        "{\"port\":-1}|INVALID_PORT",
        "{\"port\":4294967376}|INVALID_PORT",
        "{\"port\":1024}|INVALID_PORT",
        "{\"port\":1.5}|INVALID_CONFIGURATION",
        "{\"port\":\"80\"}|INVALID_CONFIGURATION"
      })
  void whatCannotBeDoneIsRefusedByName(String json, String code) {
    assertThatThrownBy(() -> parse(json, 0))
        .isInstanceOfSatisfying(HttpError.class, error -> assertThat(error.code()).isEqualTo(code));
  }

  /** The values were counted before the text was parsed: both have to have seen the same. */
  @Test
  void aValueThatStoodElsewhereIsRefused() {
    for (String json :
        List.of(
            "{\"labels\":{\"value\":\"\"}}",
            "{\"secrets\":{\"K\":{\"hosts\":[\"a\"],\"value\":\"\"}},\"env\":{\"value\":\"\"}}")) {
      int taken = json.split("\"value\"", -1).length - 1;
      assertThatThrownBy(() -> parse(json, taken)).isInstanceOf(HttpError.class);
    }
    assertThatThrownBy(
            () -> parse("{\"secrets\":{\"K\":{\"hosts\":[\"a\"],\"value\":\"left\"}}}", 1))
        .isInstanceOf(HttpError.class)
        .hasMessageNotContaining("left");
    assertThatThrownBy(() -> parse("{\"secrets\":{\"K\":{\"hosts\":[],\"value\":\"\"}}}", 1))
        .hasMessageContaining("no host");
  }

  @Test
  void allowNetBecomesAPolicy() throws HttpError {
    EgressPolicy policy =
        AllowNet.policy(List.of("A.test", "*.b.test:8443", "203.0.113.7", "203.0.113.8:22"));
    assertThat(policy.getRulesList())
        .extracting(rule -> rule.getHost() + "|" + rule.getCidr() + "|" + rule.getPortsList())
        .containsExactly(
            "a.test||[]", "*.b.test||[8443]", "|203.0.113.7/32|[443, 80]", "|203.0.113.8/32|[22]");
    assertThatThrownBy(() -> AllowNet.policy(List.of("https://a.test/")))
        .hasMessageContaining("https://a.test/");
  }
}
