package dev.cofferdam.broker.policy;

import static dev.cofferdam.broker.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import com.google.protobuf.UnknownFieldSet;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.HttpMatch;
import dev.cofferdam.v1.RuleAction;
import dev.cofferdam.v1.SecretBinding;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PoliciesTest {
  private static Policy policy(EgressRule.Builder... rules) {
    EgressPolicy.Builder policy = EgressPolicy.newBuilder();
    for (EgressRule.Builder rule : rules) {
      policy.addRules(rule);
    }
    return Policies.of(policy.build());
  }

  private static EgressRule.Builder host(String host) {
    return EgressRule.newBuilder().setHost(host);
  }

  private static EgressRule.Builder cidr(String cidr) {
    return EgressRule.newBuilder().setCidr(cidr).addPorts(443);
  }

  private static void assertInvalid(EgressRule.Builder... rules) {
    assertRefused(() -> policy(rules), ErrorReason.ERROR_REASON_POLICY_INVALID);
  }

  @Test
  void whatIsAllowedAndNotPassedThroughIsIntercepted() {
    Policy policy =
        policy(
            host("a.example.com"),
            host("b.example.com").setAction(RuleAction.RULE_ACTION_DENY),
            host("c.example.com").setPassthrough(true),
            cidr("203.0.113.0/24"),
            host("*.example.org").setAction(RuleAction.RULE_ACTION_ALLOW),
            host("a.example.com").addPorts(8443));
    assertThat(policy.intercepted().stream().map(HostPattern::toString))
        .containsExactly("a.example.com", "*.example.org");
  }

  @Test
  void aRuleIsOfAHostOrOfARange() {
    assertInvalid(EgressRule.newBuilder());
    assertInvalid(host("a.example.com").setCidr("203.0.113.0/24"));
  }

  @ParameterizedTest
  @ValueSource(ints = {0, -1, 65536})
  void portsAreOneTo65535(int port) {
    assertInvalid(host("a.example.com").addPorts(port));
    assertInvalid(cidr("203.0.113.0/24").addPorts(port));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "203.0.113.0",
        "203.0.113.1/24",
        "203.0.113.0/33",
        "203.0.113.0/-1",
        "203.0.113/24",
        "203.0.113.0/024",
        "0313.0.113.0/24",
        "203.0.113.256/32",
        "0x7f.0.0.1/32",
        "2001:db8::/32",
        "::ffff:10.0.0.0/104",
        "203.0.113.0/24 ",
        "/24"
      })
  void rangesAreIpv4InOneForm(String range) {
    assertInvalid(cidr(range));
  }

  @Test
  void aRangeNamesItsPorts() {
    assertInvalid(EgressRule.newBuilder().setCidr("203.0.113.0/24"));
  }

  @Test
  void nobodyDeniesAndPassesThrough() {
    assertInvalid(
        host("a.example.com").setAction(RuleAction.RULE_ACTION_DENY).setPassthrough(true));
  }

  @Test
  void anUnknownActionIsNoAllow() {
    assertInvalid(host("a.example.com").setActionValue(7));
  }

  /** A condition of a newer contract, left out, would allow more than was asked for. */
  @Test
  void whatIsNotUnderstoodIsRefusedAtAnyDepth() {
    UnknownFieldSet newer =
        UnknownFieldSet.newBuilder()
            .addField(1999, UnknownFieldSet.Field.newBuilder().addVarint(1).build())
            .build();
    assertInvalid(host("a.example.com").setUnknownFields(newer));
    assertInvalid(
        host("a.example.com")
            .setHttp(HttpMatch.newBuilder().addMethods("GET").setUnknownFields(newer)));
    assertRefused(
        () ->
            Policies.of(
                EgressPolicy.newBuilder()
                    .addRules(host("a.example.com"))
                    .setUnknownFields(newer)
                    .build()),
        ErrorReason.ERROR_REASON_POLICY_INVALID);
    assertRefused(
        () ->
            Policies.of(
                SecretBinding.newBuilder()
                    .addHosts("a.example.com")
                    .setUnknownFields(newer)
                    .build()),
        ErrorReason.ERROR_REASON_BINDING_INVALID);
  }

  @Test
  void there256RulesAtMost() {
    EgressRule.Builder[] rules = new EgressRule.Builder[256];
    java.util.Arrays.fill(rules, host("a.example.com"));
    assertThatCode(() -> policy(rules)).doesNotThrowAnyException();
    EgressRule.Builder[] more = new EgressRule.Builder[257];
    java.util.Arrays.fill(more, host("a.example.com"));
    assertInvalid(more);
  }

  @ParameterizedTest
  @ValueSource(strings = {"api.example.com", "*.example.com", "*.api.example.com"})
  void noPassthroughWhereASecretMayGo(String bound) {
    Policy policy = policy(host("*.example.com").setPassthrough(true));
    assertRefused(
        () -> policy.checkAgainst(List.of(binding(bound))),
        ErrorReason.ERROR_REASON_POLICY_INVALID);
  }

  @ParameterizedTest
  @ValueSource(strings = {"example.com", "api.example.org", "*.example.org"})
  void passthroughElsewhereIsFine(String bound) {
    Policy policy = policy(host("*.example.com").setPassthrough(true), host("api.example.org"));
    assertThatCode(() -> policy.checkAgainst(List.of(binding(bound)))).doesNotThrowAnyException();
  }

  private static Binding binding(String host) {
    return Policies.of(SecretBinding.newBuilder().addHosts(host).build());
  }

  @Test
  void aBindingNamesAHost() {
    assertRefused(
        () -> Policies.of(SecretBinding.getDefaultInstance()),
        ErrorReason.ERROR_REASON_BINDING_INVALID);
    assertRefused(() -> Binding.checked(List.of()), ErrorReason.ERROR_REASON_BINDING_INVALID);
  }

  @Test
  void aBindingHas64HostsAtMost() {
    SecretBinding.Builder binding = SecretBinding.newBuilder();
    for (int i = 0; i < 64; i++) {
      binding.addHosts("h%d.example.com".formatted(i));
    }
    assertThatCode(() -> Policies.of(binding.build())).doesNotThrowAnyException();
    binding.addHosts("one-more.example.com");
    assertRefused(() -> Policies.of(binding.build()), ErrorReason.ERROR_REASON_BINDING_INVALID);
  }

  @ParameterizedTest
  @ValueSource(ints = {17, -1})
  void occurrencesAreOneToSixteen(int occurrences) {
    assertRefused(
        () ->
            Policies.of(
                SecretBinding.newBuilder()
                    .addHosts("api.example.com")
                    .setOccurrences(occurrences)
                    .build()),
        ErrorReason.ERROR_REASON_BINDING_INVALID);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "header:host",
        "header:Host",
        "header:content-length",
        "header:transfer-encoding",
        "header:connection",
        "header:te",
        "header:upgrade",
        "header:",
        "header:a b",
        "header:a:b",
        "header::authority",
        "header:ä",
        "header:a\r\nb",
        "header:**",
        "basic:both",
        "query:",
        "query:a b",
        "query:a\u00e4",
        "form:",
        "multipart:a\r\nb",
        "path:",
        "path:x",
        "json:",
        "json:key",
        "json:/a~2",
        "json:/a~",
        "json:/a b",
        "websocket",
        "",
        "authorization"
      })
  void targetsThatFrameOrRouteOrAreUnknownAreRefused(String target) {
    assertRefused(() -> Target.parse(target), ErrorReason.ERROR_REASON_BINDING_INVALID);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "query:Key",
        "path",
        "json:/a~1b/0/~0/",
        "json:/",
        "form:api[key]",
        "multipart:a:b",
        "query:a=b"
      })
  void targetsBesideHeadersKeepTheirCase(String target) {
    assertThat(Target.parse(target).text()).isEqualTo(target);
    assertThat(Target.parse(target).covers(Target.parse(target))).isTrue();
    assertThat(Target.parse("header:*").covers(Target.parse(target))).isFalse();
  }

  @Test
  void headersHaveNoCaseAndTokensNoLetterTooMany() {
    assertThat(Target.parse("header:X-API-Key").text()).isEqualTo("header:x-api-key");
    assertThat(Target.parse("header:!#$%&'+-.^_`|~09az").text())
        .isEqualTo("header:!#$%&'+-.^_`|~09az");
  }
}
