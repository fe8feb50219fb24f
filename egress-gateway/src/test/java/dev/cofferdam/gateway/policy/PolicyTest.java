package dev.cofferdam.gateway.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.gateway.AttackRow;
import dev.cofferdam.kit.upstream.Cidr;
import dev.cofferdam.kit.upstream.HostsFile;
import dev.cofferdam.v1.DataRule;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.RuleAction;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class PolicyTest {
  private static Policy policy(EgressRule.Builder... rules) {
    EgressPolicy.Builder policy = EgressPolicy.newBuilder();
    for (EgressRule.Builder rule : rules) {
      policy.addRules(rule);
    }
    return Policy.compile(policy.build());
  }

  private static EgressRule.Builder host(String host) {
    return EgressRule.newBuilder().setHost(host);
  }

  private static Host parsed(String host) {
    return Host.parse(host).orElseThrow();
  }

  private static EgressReason reason(Decision decision) {
    return decision instanceof Decision.Denied(EgressReason reason, String why) && !why.isEmpty()
        ? reason
        : EgressReason.EGRESS_REASON_UNSPECIFIED;
  }

  @Test
  void anEmptyPolicyLetsNothingOut() {
    assertThat(reason(policy().decide(parsed("example.com"), 443)))
        .isEqualTo(EgressReason.EGRESS_REASON_HOST_NOT_ALLOWED);
  }

  @Test
  void theFirstRuleThatMatchesDecides() {
    Policy policy =
        policy(
            host("secret.example.com").setAction(RuleAction.RULE_ACTION_DENY),
            host("*.example.com"));

    assertThat(policy.decide(parsed("a.example.com"), 443)).isEqualTo(new Decision.Allowed(false));
    assertThat(reason(policy.decide(parsed("secret.example.com"), 443)))
        .isEqualTo(EgressReason.EGRESS_REASON_HOST_NOT_ALLOWED);
  }

  /** Whatever a broker makes of the two beside each other. */
  @AttackRow(56)
  @Test
  void whatDataRulesCoverIsNotPassedThrough() {
    Policy policy =
        Policy.compile(
            EgressPolicy.newBuilder()
                .addRules(host("*.example.com").setPassthrough(true))
                .addData(DataRule.newBuilder().addHosts("a.example.com").addPatterns("x"))
                .build());
    assertThat(policy.decide(parsed("a.example.com"), 443)).isEqualTo(new Decision.Allowed(false));
    assertThat(policy.decide(parsed("b.example.com"), 443)).isEqualTo(new Decision.Allowed(true));
  }

  @Test
  void aPortThatNoRuleNamesIsDeniedAsAPort() {
    Policy policy = policy(host("example.com"));

    assertThat(policy.decide(parsed("example.com"), 80)).isEqualTo(new Decision.Allowed(false));
    assertThat(reason(policy.decide(parsed("example.com"), 8080)))
        .isEqualTo(EgressReason.EGRESS_REASON_PORT_NOT_ALLOWED);
  }

  @Test
  void aRangeIsPassedThroughAtItsPortsAlone() {
    Policy policy = policy(EgressRule.newBuilder().setCidr("203.0.113.0/24").addPorts(22));

    assertThat(policy.decide(parsed("203.0.113.7"), 22)).isEqualTo(new Decision.Allowed(true));
    assertThat(reason(policy.decide(parsed("203.0.112.7"), 22)))
        .isEqualTo(EgressReason.EGRESS_REASON_ADDRESS_NOT_ALLOWED);
    assertThat(reason(policy.decide(parsed("203.0.113.7"), 23)))
        .isEqualTo(EgressReason.EGRESS_REASON_PORT_NOT_ALLOWED);
  }

  @AttackRow(23)
  @ParameterizedTest
  @CsvSource({
    "a.example.com, true",
    "a.b.example.com, true",
    "A.EXAMPLE.COM., true",
    "example.com, false",
    "evil-example.com, false",
    "example.com.evil.com, false",
    "a.example.org, false",
    "a.xn--exmple-cua.com, false",
  })
  void wildcardsAreAnchoredToLabels(String name, boolean allowed) {
    Decision decision = policy(host("*.example.com")).decide(parsed(name), 443);

    assertThat(decision instanceof Decision.Allowed).isEqualTo(allowed);
  }

  @AttackRow(23)
  @ParameterizedTest
  @ValueSource(
      strings = {
        "*.com",
        "*.co.uk",
        "*.github.io",
        "*",
        "a.*",
        "*a.example.com",
        "EXAMPLE.com",
        "example.com.",
        "exämple.com",
        "a b.com",
        "10.0.0.1",
        "*.10.0.0.1"
      })
  void aPatternThatMeansTooMuchOrNothingIsRefused(String pattern) {
    assertThatThrownBy(() -> policy(host(pattern)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(pattern);
  }

  @ParameterizedTest
  @ValueSource(strings = {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0", "x/8", "10.0.0.0/-1"})
  void aRangeThatIsNoneIsRefused(String range) {
    assertThatThrownBy(() -> policy(EgressRule.newBuilder().setCidr(range).addPorts(1)))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void aRangeWithoutPortsIsRefused() {
    assertThatThrownBy(() -> policy(EgressRule.newBuilder().setCidr("203.0.113.0/24")))
        .hasMessageContaining("no ports");
  }

  @AttackRow(24)
  @ParameterizedTest
  @CsvSource({
    "127.0.0.1, 127.0.0.1",
    "2130706433, 127.0.0.1",
    "0x7f000001, 127.0.0.1",
    "0177.0.0.1, 127.0.0.1",
    "127.1, 127.0.0.1",
    "0x7f.1, 127.0.0.1",
    "127.0.0.1., 127.0.0.1",
    "[::ffff:127.0.0.1], 127.0.0.1",
    "[::ffff:7f00:1], 127.0.0.1",
    "[64:ff9b::127.0.0.1], 127.0.0.1",
    "[2002:7f00:1::], 127.0.0.1",
    "[::127.0.0.1], 127.0.0.1",
    "[::1], 0:0:0:0:0:0:0:1",
  })
  void everySpellingOfAnAddressIsThatAddress(String spelling, String address) {
    assertThat(parsed(spelling)).isInstanceOf(Host.Literal.class).hasToString(address);
  }

  @AttackRow(24)
  @ParameterizedTest
  @ValueSource(
      strings = {
        "256.0.0.1",
        "1.2.3.4.5",
        "0x100000000",
        "08.0.0.1",
        "[::1%eth0]",
        "[::g]",
        "a..b",
        "-a.com",
        "a_b.1",
        "",
        ".",
        "user@host",
        "exämple.com",
        "a\u0000b"
      })
  void whatIsNoHostIsNone(String text) {
    assertThat(Host.parse(text)).isEmpty();
  }

  @AttackRow(25)
  @ParameterizedTest
  @ValueSource(
      strings = {
        "127.0.0.1",
        "10.1.2.3",
        "172.31.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "100.127.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "198.18.0.1",
        "198.19.9.9",
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "::1",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "2002:a00:1::"
      })
  void anAddressThatIsNotPublicIsRefusedUnlessPinned(String text) throws Exception {
    java.net.InetAddress address = java.net.InetAddress.getByName(text);
    Host.Name name = (Host.Name) parsed("api.example.com");
    AddressRules bare = new AddressRules(HostsFile.empty(), 7400, 7480, _ -> false);
    AddressRules pinned =
        new AddressRules(
            HostsFile.parse(List.of("# pins", text + "\tapi.example.com # one")),
            7400,
            7480,
            _ -> false);

    assertThat(bare.refuse(name, address, 443)).isPresent();
    assertThat(pinned.refuse(name, address, 443)).isEmpty();
    assertThat(pinned.refuse(name, address, 7410)).isPresent();
    assertThat(pinned.refuse((Host.Name) parsed("other.example.com"), address, 443)).isPresent();
  }

  @AttackRow(25)
  @Test
  void aPinSaysNothingOfItsAddressAloneAndConsentNothingOfAName() throws Exception {
    java.net.InetAddress address = java.net.InetAddress.getByName("10.0.0.1");
    HostsFile hosts = HostsFile.parse(List.of("10.0.0.1 api.example.com"));
    AddressRules pinned = new AddressRules(hosts, 7400, 7480, _ -> false);
    AddressRules consented =
        new AddressRules(
            HostsFile.empty(), List.of(Cidr.parse("10.0.0.0/8")), 7400, 7480, _ -> false);

    assertThat(pinned.refuse(address, 443)).isPresent();
    assertThat(consented.refuse(address, 443)).isEmpty();
    assertThat(consented.refuse(address, 7410)).isPresent();
    assertThat(consented.refuse(java.net.InetAddress.getByName("192.168.0.1"), 443)).isPresent();
    assertThat(consented.refuse((Host.Name) parsed("api.example.com"), address, 443)).isPresent();
  }

  @Test
  void aPublicAddressIsAllowedUnlessItIsThisHosts() throws Exception {
    java.net.InetAddress address = java.net.InetAddress.getByName("8.8.8.8");
    Host.Name name = (Host.Name) parsed("api.example.com");

    assertThat(
            new AddressRules(HostsFile.empty(), 7400, 7480, _ -> false).refuse(name, address, 443))
        .isEmpty();
    assertThat(
            new AddressRules(HostsFile.empty(), 7400, 7480, _ -> true).refuse(name, address, 443))
        .isPresent();
  }

  /** Guava calls such a name no domain name and throws. */
  @Test
  void aWildcardOverALastLabelThatBeginsWithADigitIsAPattern() {
    assertThat(HostPattern.parse("*.foo.1com").wildcard()).isTrue();
  }

  @Test
  void dnsAnswersOnlyForNamesWithAnAllowedPort() {
    Policy policy =
        policy(
            host("a.example.com").setAction(RuleAction.RULE_ACTION_DENY).addPorts(443).addPorts(80),
            host("*.example.com"));

    assertThat(policy.resolves((Host.Name) parsed("b.example.com"))).isTrue();
    assertThat(policy.resolves((Host.Name) parsed("a.example.com"))).isFalse();
    assertThat(policy.resolves((Host.Name) parsed("example.org"))).isFalse();
  }
}
