package dev.cofferdam.gateway.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.PolicyMode;
import dev.cofferdam.v1.RuleAction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class LearningTest {
  private static final EgressPolicy LEARN =
      EgressPolicy.newBuilder()
          .setMode(PolicyMode.POLICY_MODE_LEARN)
          .addRules(
              EgressRule.newBuilder()
                  .setHost("denied.example.com")
                  .setAction(RuleAction.RULE_ACTION_DENY))
          .addRules(EgressRule.newBuilder().setHost("ruled.example.com"))
          .build();

  private final Policy policy = Policy.compile(LEARN);

  private static Host host(String text) {
    return Host.parse(text).orElseThrow();
  }

  private boolean allowed(String host, int port) {
    return policy.decide(host(host), port) instanceof Decision.Allowed(boolean passthrough)
        && !passthrough;
  }

  @Test
  void publicNamesAreLetThroughAtAnyPortAndLookedInto() {
    assertThat(allowed("example.com", 443)).isTrue();
    assertThat(allowed("example.com", 8080)).isTrue();
    assertThat(policy.intercepts()).isTrue();
    assertThat(policy.passing(host("example.com"), 22)).isEmpty();
    assertThat(policy.resolves((Host.Name) host("example.com"))).isTrue();
    assertThat(policy.learned((Host.Name) host("example.com"))).isTrue();
    assertThat(policy.learned((Host.Name) host("ruled.example.com"))).isFalse();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "denied.example.com",
        "localhost",
        "a.localhost",
        "printer.local",
        "metadata.google.internal",
        "metadata",
        "1.0.0.127.in-addr.arpa",
        "203.0.113.7",
        "169.254.169.254"
      })
  void otherThingsAreNot(String text) {
    assertThat(allowed(text, 443)).isFalse();
    if (host(text) instanceof Host.Name name) {
      assertThat(policy.resolves(name)).isFalse();
    }
  }

  @Test
  void itStaysSoAtAnotherTime() {
    assertThat(policy.at(java.time.Instant.EPOCH).learns()).isTrue();
  }

  @Test
  void anotherModeThanIsKnownIsNoPolicy() {
    assertThatThrownBy(() -> Policy.compile(LEARN.toBuilder().setModeValue(77).build()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("77");
    assertThat(Policy.compile(LEARN.toBuilder().clearMode().build()).learns()).isFalse();
  }
}
