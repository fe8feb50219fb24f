package dev.cofferdam.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.v1.DataDetector;
import dev.cofferdam.v1.DataRule;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.HttpMatch;
import dev.cofferdam.v1.PolicyMode;
import dev.cofferdam.v1.PolicyProposal;
import dev.cofferdam.v1.ProposedRule;
import dev.cofferdam.v1.RefusedTraffic;
import dev.cofferdam.v1.RuleAction;
import org.junit.jupiter.api.Test;

/** What is printed of a proposal is a policy file. */
final class ProposalTest {
  private static final EgressRule OWN = EgressRule.newBuilder().setHost("own.example.com").build();
  private static final EgressRule READ =
      EgressRule.newBuilder()
          .setHost("*.example.org")
          .addPorts(443)
          .setAction(RuleAction.RULE_ACTION_ALLOW)
          .setHttp(HttpMatch.newBuilder().addMethods("GET"))
          .build();
  static final PolicyProposal PROPOSAL =
      PolicyProposal.newBuilder()
          .setPolicy(
              EgressPolicy.newBuilder()
                  .setMode(PolicyMode.POLICY_MODE_ENFORCE)
                  .addRules(OWN)
                  .addRules(READ)
                  .addData(
                      DataRule.newBuilder()
                          .addDetectors(DataDetector.DATA_DETECTOR_IBANS)
                          .addPatterns("(?i)\\bproject: '[0-9]{4}'")))
          .setPolicyRevision(1)
          .setRequests(12)
          .addRules(
              ProposedRule.newBuilder()
                  .setRule(READ)
                  .setRequests(12)
                  .addHosts("a.example.org")
                  .addSecrets("api-key"))
          .addRefused(
              RefusedTraffic.newBuilder()
                  .setHost("evil.test\nrules: [\"*.evil.test\"]")
                  .setPort(443)
                  .setProtocol("https")
                  .setReason(EgressReason.EGRESS_REASON_PRIVATE_ADDRESS)
                  .setCount(3))
          .build();

  @Test
  void itReadsBackAsThePolicy() {
    String text = ProposalText.of("sb-1", PROPOSAL);

    assertThat(PolicyFile.parse(text, "proposal")).isEqualTo(PROPOSAL.getPolicy());
    assertThat(text)
        .contains(
            "# Rule 2: 12 requests to *.example.org (a.example.org), with the secrets api-key")
        .contains("private_address, 3 times");
  }

  /** A guest chooses hosts, and with them must not write into the file. */
  @Test
  void whatAGuestWroteStaysInItsLine() {
    assertThat(ProposalText.of("sb-1", PROPOSAL).lines())
        .filteredOn(line -> line.contains("evil.test"))
        .singleElement()
        .asString()
        .startsWith("# ");
  }
}
