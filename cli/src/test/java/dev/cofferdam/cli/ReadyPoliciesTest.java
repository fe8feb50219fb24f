package dev.cofferdam.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.PolicyMode;
import dev.cofferdam.v1.RuleAction;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What each of them promises; that a broker takes them is shown end to end. */
final class ReadyPoliciesTest {
  @Test
  void noneLetsNothingOut() {
    assertThat(ReadyPolicies.get("none")).isEqualTo(EgressPolicy.getDefaultInstance());
  }

  /** Nothing but reading, and no path by which a package manager could be refused. */
  @Test
  void packagesAreReadOnly() {
    EgressPolicy policy = ReadyPolicies.get("packages");
    assertThat(policy.getRulesList())
        .isNotEmpty()
        .allSatisfy(rule -> {
          assertThat(rule.getHttp().getMethodsList()).containsExactly("GET", "HEAD");
          assertThat(rule.getHttp().getPathsCount()).isZero();
          assertThat(rule.getPassthrough()).isFalse();
        });
    assertThat(ReadyPolicies.get("code-agent").getRulesList()).containsAll(policy.getRulesList());
  }

  /** The only places that a code agent may write to are those its comment names. */
  @Test
  void aCodeAgentWritesToItsModelAndCannotPush() {
    List<String> written =
        ReadyPolicies.get("code-agent").getRulesList().stream()
            .filter(rule -> rule.getAction() != RuleAction.RULE_ACTION_DENY)
            .filter(rule -> !List.of("GET", "HEAD").containsAll(rule.getHttp().getMethodsList()))
            .filter(rule ->
                rule.getHttp().getPathsList().stream()
                    .noneMatch(p -> p.endsWith("/git-upload-pack")))
            .map(EgressRule::getHost)
            .toList();
    assertThat(written)
        .containsExactly(
            "api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com");
  }

  @Test
  void openReadOnlyIsAStrangers() {
    assertThat(ReadyPolicies.get("open-read-only").getRulesList())
        .hasSizeGreaterThan(10)
        .allSatisfy(rule -> {
          assertThat(rule.getAction()).isEqualTo(RuleAction.RULE_ACTION_DOWNGRADE);
          assertThat(rule.getHttp().getMethodsList()).containsExactly("GET", "HEAD");
          assertThat(rule.getHttp().getWhen()).contains("request.size == 0");
        })
        .extracting(EgressRule::getHost)
        .doesNotHaveDuplicates();
  }

  @Test
  void learnHasNoRuleOfItsOwn() {
    assertThat(ReadyPolicies.get("learn"))
        .isEqualTo(EgressPolicy.newBuilder().setMode(PolicyMode.POLICY_MODE_LEARN).build());
  }

  @Test
  void whatIsNeitherANameNorAFileIsToldSo() {
    assertThatThrownBy(() -> ReadyPolicies.get("packges"))
        .hasMessageContaining("none of none, packages, code-agent, open-read-only, learn");
  }
}
