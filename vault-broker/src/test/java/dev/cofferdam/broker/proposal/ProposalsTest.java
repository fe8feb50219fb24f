package dev.cofferdam.broker.proposal;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.broker.policy.Policies;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.DataAction;
import dev.cofferdam.v1.DataDetector;
import dev.cofferdam.v1.DataRule;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.PolicyMode;
import dev.cofferdam.v1.PolicyProposal;
import dev.cofferdam.v1.ProposedRule;
import dev.cofferdam.v1.RefusedTraffic;
import dev.cofferdam.v1.RuleAction;
import dev.cofferdam.v1.Verdict;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class ProposalsTest {
  private final Seen seen = new Seen();

  private static AuditEvent.Builder request(String method, String host, String path) {
    return AuditEvent.newBuilder()
        .setLearning(true)
        .setLearned(true)
        .setVerdict(Verdict.VERDICT_ALLOWED)
        .setProtocol("https")
        .setHost(host)
        .setPort(443)
        .setMethod(method)
        .setPath(path)
        .setStatus(200)
        .setCount(1);
  }

  private void saw(String method, String host, String path) {
    seen.add(request(method, host, path).build());
  }

  private PolicyProposal proposal() {
    return proposal(EgressPolicy.newBuilder().setMode(PolicyMode.POLICY_MODE_LEARN).build());
  }

  /** Every proposal is a policy that the broker takes. */
  private PolicyProposal proposal(EgressPolicy present) {
    PolicyProposal proposal = Proposals.proposal(present, seen);
    assertThat(proposal.getPolicy().getMode()).isEqualTo(PolicyMode.POLICY_MODE_ENFORCE);
    assertThat(Policies.of(proposal.getPolicy()).learns()).isFalse();
    return proposal;
  }

  private List<EgressRule> rules() {
    return proposal().getRulesList().stream().map(ProposedRule::getRule).toList();
  }

  @Test
  void nothingSeenIsNothingProposed() {
    assertThat(proposal().getPolicy().getRulesList()).isEmpty();
  }

  /** And of what was seen with a path that may not be told there is no rule. */
  @Test
  void dataRulesAreKept() {
    EgressPolicy present =
        EgressPolicy.newBuilder()
            .setMode(PolicyMode.POLICY_MODE_LEARN)
            .addData(
                DataRule.newBuilder()
                    .addDetectors(DataDetector.DATA_DETECTOR_EMAIL_ADDRESSES)
                    .setAction(DataAction.DATA_ACTION_REPORT))
            .build();
    saw("POST", "a.example.com", "[data]");
    PolicyProposal proposal = proposal(present);
    assertThat(proposal.getPolicy().getDataList()).isEqualTo(present.getDataList());
    assertThat(proposal.getPolicy().getRulesList()).isEmpty();
    assertThat(proposal.getRefusedCount()).isEqualTo(1);
  }

  @Test
  void readingIsARuleForTheHostAndItsMethods() {
    saw("GET", "registry.example.com", "/left-pad");
    saw("GET", "registry.example.com", "/@scope%2fname");
    saw("HEAD", "registry.example.com", "/");

    assertThat(rules()).hasSize(1);
    EgressRule rule = rules().getFirst();
    assertThat(rule.getHost()).isEqualTo("registry.example.com");
    assertThat(rule.getPortsList()).containsExactly(443);
    assertThat(rule.getHttp().getMethodsList()).containsExactly("GET", "HEAD");
    assertThat(rule.getHttp().getPathsList()).isEmpty();
    assertThat(proposal().getRequests()).isEqualTo(3);
  }

  /** A clone must not become the right to push. */
  @Test
  void whatChangesSomethingIsHeldToItsPaths() {
    saw("GET", "git.example.com", "/project.git/info/refs");
    saw("POST", "git.example.com", "/project.git/git-upload-pack");

    EgressRule writes =
        rules().stream()
            .filter(rule -> rule.getHttp().getMethodsList().contains("POST"))
            .findFirst()
            .orElseThrow();
    assertThat(writes.getHttp().getMethodsList()).containsExactly("POST");
    assertThat(writes.getHttp().getPathsList()).containsExactly("/project.git/git-upload-pack");
  }

  @ParameterizedTest
  @CsvSource({
    "/repos/17/issues, /repos/*/issues",
    "/v1/things/0b5a9f3e-1111-4222-8333-444455556666, /v1/things/*",
    "/blobs/9f86d081884c7d65, /blobs/*",
    "/api/v1/models, /api/v1/models",
    "/a%20b/c, /a b/c",
    "/, /",
    "/a/, /a",
  })
  void numbersAndDigestsAreNoPartOfAPattern(String path, String pattern) {
    assertThat(Paths.kind(path)).contains(pattern);
  }

  /** Else a guest would write the pattern that lets everything out. */
  @ParameterizedTest
  @CsvSource({"/**, /*", "/a/**/b, /a/*/b", "/a*, /*", "/%2a%2a, /*"})
  void starsOfAGuestAreOneSegment(String path, String pattern) {
    assertThat(Paths.kind(path)).contains(pattern);
  }

  @ParameterizedTest
  @ValueSource(strings = {"/a;b", "/a//b", "/../b", "/a%2fb", "/%ff", "*", "/a\\b"})
  void anAmbiguousPathGetsNoRuleAndIsToldAsRefused(String path) {
    saw("POST", "api.example.com", path);

    assertThat(rules()).isEmpty();
    RefusedTraffic refused = proposal().getRefusedList().getFirst();
    assertThat(refused.getReason()).isEqualTo(EgressReason.EGRESS_REASON_REQUEST_AMBIGUOUS);
    assertThat(refused.getMethod()).isEqualTo("POST");
  }

  @Test
  void aMethodThatNoRuleCanNameGetsNone() {
    saw("get", "api.example.com", "/");
    assertThat(rules()).isEmpty();
    assertThat(proposal().getRefusedCount()).isEqualTo(1);
  }

  @Test
  void manyNamesOfOneKindBecomeAStar() {
    for (int i = 0; i < Paths.MAX_SIBLINGS + 1; i++) {
      saw("PUT", "api.example.com", "/pages/" + (char) ('a' + i) + "/text");
    }
    saw("PUT", "api.example.com", "/other");
    assertThat(rules().getFirst().getHttp().getPathsList())
        .containsExactlyInAnyOrder("/pages/*/text", "/other");
  }

  @Test
  void aFewStayAsTheyAre() {
    for (int i = 0; i < Paths.MAX_SIBLINGS; i++) {
      saw("PUT", "api.example.com", "/pages/" + (char) ('a' + i));
    }
    assertThat(rules().getFirst().getHttp().getPathsList()).hasSize(Paths.MAX_SIBLINGS);
  }

  @Test
  void morePathsThanARuleHoldsLeaveTheMethodAloneAndSaySo() {
    IntStream.range(0, 200)
        .forEach(i -> saw("POST", "api.example.com", "/" + "x/".repeat(i + 1) + "y"));
    ProposedRule rule = proposal().getRules(0);
    assertThat(rule.getRule().getHttp().getPathsList()).isEmpty();
    assertThat(rule.getRule().getHttp().getMethodsList()).containsExactly("POST");
    assertThat(rule.getNote()).contains("any path");
    assertThat(rule.getRequests()).isEqualTo(200);
  }

  @Test
  void namesWithTheSameParentBecomeAWildcard() {
    for (String name : List.of("a", "b", "c", "d")) {
      saw("GET", name + ".cdn.example.com", "/");
    }
    saw("GET", "cdn.example.com", "/");
    assertThat(rules())
        .extracting(EgressRule::getHost)
        .containsExactly("*.cdn.example.com", "cdn.example.com");
    assertThat(proposal().getRules(0).getHostsList())
        .containsExactly(
            "a.cdn.example.com", "b.cdn.example.com", "c.cdn.example.com", "d.cdn.example.com");
  }

  @Test
  void aFewNamesStayNames() {
    for (String name : List.of("a", "b", "c")) {
      saw("GET", name + ".example.com", "/");
    }
    assertThat(rules()).extracting(EgressRule::getHost).noneMatch(host -> host.startsWith("*"));
  }

  /** Other names there are other people's. */
  @ParameterizedTest
  @ValueSource(strings = {"com", "co.uk", "github.io", "s3.amazonaws.com", "unlisted", "ck"})
  void neverOnAPublicSuffix(String suffix) {
    for (String name : List.of("aa", "bb", "cc", "dd", "ee")) {
      saw("GET", name + "." + suffix, "/");
    }
    assertThat(rules()).hasSize(5).extracting(EgressRule::getHost).noneMatch(h -> h.contains("*"));
  }

  /** Which of a family needs to write is not for the others. */
  @Test
  void aWildcardIsOfThoseThatNeedTheSame() {
    for (String name : List.of("a", "b", "c", "d")) {
      saw("GET", name + ".example.com", "/");
    }
    saw("POST", "a.example.com", "/upload");
    assertThat(rules())
        .filteredOn(rule -> rule.getHttp().getMethodsList().contains("POST"))
        .singleElement()
        .extracting(EgressRule::getHost)
        .isEqualTo("a.example.com");
  }

  @Test
  void whatTheSandboxHasStaysBeforeIt() {
    EgressRule denied =
        EgressRule.newBuilder()
            .setHost("x.example.com")
            .setAction(RuleAction.RULE_ACTION_DENY)
            .build();
    saw("GET", "y.example.com", "/");
    PolicyProposal first =
        proposal(
            EgressPolicy.newBuilder()
                .setMode(PolicyMode.POLICY_MODE_LEARN)
                .addRules(denied)
                .build());
    assertThat(first.getPolicy().getRules(0)).isEqualTo(denied);
    assertThat(first.getPolicy().getRulesCount()).isEqualTo(2);

    PolicyProposal second = proposal(first.getPolicy());
    assertThat(second.getPolicy()).isEqualTo(first.getPolicy());
    assertThat(second.getRulesList()).isEmpty();
  }

  @Test
  void aWebSocketNeedsARuleWithoutConditions() {
    seen.add(request("GET", "live.example.com", "/socket").setStatus(101).build());
    saw("GET", "live.example.com", "/");
    assertThat(rules()).hasSize(1);
    assertThat(rules().getFirst().hasHttp()).isFalse();
    assertThat(proposal().getRules(0).getNote()).contains("WebSocket");
  }

  /** Whatever a guest names, only what answered is worth a rule. */
  @Test
  void aHostThatNeverAnsweredGetsNoRule() {
    seen.add(
        request("GET", "nowhere.example.com", "/")
            .setVerdict(Verdict.VERDICT_DENIED)
            .setReason(EgressReason.EGRESS_REASON_NAME_NOT_RESOLVED)
            .setStatus(502)
            .build());
    seen.add(request("GET", "broke.example.com", "/").setStatus(0).build());
    assertThat(rules()).isEmpty();
    assertThat(proposal().getRefusedList())
        .extracting(RefusedTraffic::getHost)
        .containsExactly("nowhere.example.com");
  }

  @Test
  void whatNeededASecretIsCoveredAndNamesIt() {
    seen.add(
        request("GET", "api.example.com", "/v1")
            .setVerdict(Verdict.VERDICT_DENIED)
            .setReason(EgressReason.EGRESS_REASON_LEARNING)
            .setSecret("api-key")
            .setStatus(403)
            .build());
    assertThat(proposal().getRules(0).getSecretsList()).containsExactly("api-key");
    assertThat(proposal().getRefusedList()).isEmpty();
  }

  /** A placeholder in the wrong place is refused under whatever rule. */
  @Test
  void aSmuggledPlaceholderGetsNoRule() {
    seen.add(
        request("POST", "evil.example.com", "/")
            .setVerdict(Verdict.VERDICT_DENIED)
            .setReason(EgressReason.EGRESS_REASON_PLACEHOLDER_HOST_NOT_BOUND)
            .setSecret("api-key")
            .setStatus(403)
            .build());
    assertThat(rules()).isEmpty();
    assertThat(proposal().getRefused(0).getReason())
        .isEqualTo(EgressReason.EGRESS_REASON_PLACEHOLDER_HOST_NOT_BOUND);
  }

  @Test
  void whatARuleLetThroughOrWasRefusedInModeEnforceIsNoneOfIt() {
    seen.add(request("GET", "own.example.com", "/").setLearned(false).build());
    seen.add(
        request("GET", "earlier.example.com", "/")
            .setLearning(false)
            .setLearned(false)
            .setVerdict(Verdict.VERDICT_DENIED)
            .setReason(EgressReason.EGRESS_REASON_HOST_NOT_ALLOWED)
            .build());
    assertThat(rules()).isEmpty();
    assertThat(proposal().getRefusedList()).isEmpty();
  }

  @Test
  void refusalsAreAddedUp() {
    for (int i = 0; i < 3; i++) {
      seen.add(
          request("GET", "meta.example.com", "/")
              .setVerdict(Verdict.VERDICT_DENIED)
              .setReason(EgressReason.EGRESS_REASON_PRIVATE_ADDRESS)
              .setCount(5)
              .build());
    }
    assertThat(proposal().getRefused(0).getCount()).isEqualTo(15);
  }

  /** A guest that asks for thousands of hosts hides nothing but what it asked for last. */
  @Test
  void aFloodOfHostsIsBounded() {
    saw("GET", "registry.example.com", "/");
    for (int i = 0; i < 5000; i++) {
      saw("GET", "h%d.d%d.com".formatted(i, i), "/");
      saw("GET", "registry.example.com", "/");
    }
    PolicyProposal proposal = proposal();
    assertThat(proposal.getPolicy().getRulesCount()).isEqualTo(256);
    assertThat(proposal.getRules(0).getRule().getHost()).isEqualTo("registry.example.com");
    assertThat(proposal.getRequests() + proposal.getRequestsLeftOut()).isEqualTo(10_001);
    assertThat(proposal.getPolicy().getRulesList()).noneMatch(r -> r.getHost().startsWith("*"));
  }

  /** Nor do its refusals, nor its paths take more room than there is, nor another host's. */
  @Test
  void aFloodOfRefusalsAndPathsIsBounded() {
    for (int i = 0; i < 3000; i++) {
      seen.add(
          request("GET", "h" + i + ".example.com", "/")
              .setVerdict(Verdict.VERDICT_DENIED)
              .setReason(EgressReason.EGRESS_REASON_NAME_NOT_RESOLVED)
              .build());
    }
    for (int host = 0; host < 120; host++) {
      for (int i = 0; i < 100; i++) {
        saw("POST", "api%d.x%d.com".formatted(host, host), "/" + "z".repeat(i + 1));
      }
    }
    saw("POST", "last.example.com", "/once");
    PolicyProposal proposal = proposal();
    assertThat(proposal.getRefusedCount()).isLessThanOrEqualTo(Seen.MAX_REFUSED);
    assertThat(proposal.getRefusedList().stream().mapToLong(RefusedTraffic::getCount).sum())
        .isEqualTo(3000);
    assertThat(proposal.getRequestsLeftOut()).isPositive();
    // What found no room is left out; it is never let through whatever its path.
    assertThat(proposal.getRulesList())
        .allSatisfy(rule -> assertThat(rule.getRule().getHttp().getPathsList()).isNotEmpty());
  }

  @Test
  void twoPortsThatNeedTheSameAreOneRule() {
    saw("GET", "api.example.com", "/");
    seen.add(request("GET", "api.example.com", "/").setPort(8443).build());
    assertThat(rules())
        .singleElement()
        .satisfies(rule -> assertThat(rule.getPortsList()).containsExactly(443, 8443));
  }
}
