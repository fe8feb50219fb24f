package dev.cofferdam.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.v1.DataAction;
import dev.cofferdam.v1.DataDetector;
import dev.cofferdam.v1.DataRule;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.HeaderMatch;
import dev.cofferdam.v1.HttpMatch;
import dev.cofferdam.v1.RuleAction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class PolicyFileTest {
  private static EgressPolicy parse(String text) {
    return PolicyFile.parse(text, "p.yaml");
  }

  @Test
  void aPolicyIsTheContractsMessage() {
    assertThat(
            parse(
                """
                # Why.
                rules:
                  - api.example.com:8443
                  - host: api.example.com
                    action: deny
                    http:
                      methods: [GET, HEAD]
                      paths: ["/a/*/b/**"]
                      headers:
                        - {name: x-team, value: "red-*"}
                      content_types: [application/json]
                      when: >-
                        request.size < 1024
                        && request.host.startsWith('api.')
                  - cidr: 203.0.113.0/24
                    ports: [22]
                  - host: "*.example.org"
                    max_request_bytes: 5000000000
                """))
        .isEqualTo(
            EgressPolicy.newBuilder()
                .addRules(EgressRule.newBuilder().setHost("api.example.com").addPorts(8443))
                .addRules(
                    EgressRule.newBuilder()
                        .setHost("api.example.com")
                        .setAction(RuleAction.RULE_ACTION_DENY)
                        .setHttp(
                            HttpMatch.newBuilder()
                                .addMethods("GET")
                                .addMethods("HEAD")
                                .addPaths("/a/*/b/**")
                                .addHeaders(
                                    HeaderMatch.newBuilder().setName("x-team").setValue("red-*"))
                                .addContentTypes("application/json")
                                .setWhen("request.size < 1024 && request.host.startsWith('api.')")))
                .addRules(EgressRule.newBuilder().setCidr("203.0.113.0/24").addPorts(22))
                .addRules(
                    EgressRule.newBuilder()
                        .setHost("*.example.org")
                        .setMaxRequestBytes(5_000_000_000L))
                .build());
  }

  @Test
  void whatMayNotStandInRequestsIsWrittenAsPeopleDo() {
    EgressPolicy written =
        parse(
            """
            rules: [api.example.com]
            data:
              - detectors: [credentials, DATA_DETECTOR_CARD_NUMBERS]
                headers: true
              - hosts: [api.example.com, "*.example.org"]
                patterns: ['(?i)\\bproject-[0-9]{4}\\b']
                action: redact
            """);
    assertThat(written.getDataList())
        .containsExactly(
            DataRule.newBuilder()
                .addDetectors(DataDetector.DATA_DETECTOR_CREDENTIALS)
                .addDetectors(DataDetector.DATA_DETECTOR_CARD_NUMBERS)
                .setHeaders(true)
                .build(),
            DataRule.newBuilder()
                .addHosts("api.example.com")
                .addHosts("*.example.org")
                .addPatterns("(?i)\\bproject-[0-9]{4}\\b")
                .setAction(DataAction.DATA_ACTION_REDACT)
                .build());
  }

  @Test
  void anEmptyFileLetsNothingOutAndJsonIsYaml() {
    assertThat(parse("# nothing\n")).isEqualTo(EgressPolicy.getDefaultInstance());
    assertThat(parse("{\"rules\": [{\"host\": \"a.example.com\", \"ports\": [443]}]}").getRules(0))
        .isEqualTo(EgressRule.newBuilder().setHost("a.example.com").addPorts(443).build());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "`rules:\n  - host: a\n    hots: b`|rule 1: Cannot find field: hots",
        "`rules: [a.example.com, {host: a, action: dney}]`|rule 2: Invalid enum value",
        "`rule: []`|p.yaml: Cannot find field: rule",
        "`rules: {}`|rules is no list",
        "`- a`|expected fields",
        "`rules:\n  - host: a\n    host: b`|line 3",
        "`rules: [`|line 1",
        "`rules:\n  - host: a\n    max_request_bytes: -1`|rule 1",
        "`rules:\n  - 'a:b'`|'b' is no port",
        "`data: {}`|data is no list",
        "`data: [emails]`|data rule 1: expected fields",
        "`data: [{detectors: [ibans]}, {detectors: [emails]}]`|data rule 2: Invalid enum value",
        "`data: [{detectors: [ibans], action: drop}]`|data rule 1: Invalid enum value",
        "`data: [{detector: ibans}]`|data rule 1: Cannot find field: detector",
      })
  void aMistakeIsToldWithItsPlace(String text, String message) {
    assertThatThrownBy(() -> parse(text))
        .isInstanceOf(ClientException.class)
        .hasMessageContaining(message);
  }
}
