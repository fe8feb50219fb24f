package dev.cofferdam.edge.session;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class MemoryBudgetTest {
  private final MemoryBudget budget = new MemoryBudget(100);
  private final List<String> ended = new ArrayList<>();

  private MemoryBudget.Account open(String owner, String name, long bytes) {
    MemoryBudget.Account account = budget.open(owner);
    account.whenOver(() -> ended.add(name));
    account.add(bytes);
    return account;
  }

  @Test
  void whoHoldsMostOfThoseWhoHoldMostTogetherEnds() {
    open("a", "a1", 20);
    open("a", "a2", 25);
    MemoryBudget.Account b = open("b", "b1", 40);
    assertThat(ended).isEmpty();
    b.add(4);
    open("c", "c1", 12);
    assertThat(ended).as("45 of a's are more than 44 of b's, who asked").containsExactly("a2");
    assertThat(budget.ended()).isEqualTo(1);
  }

  @Test
  void whatIsAboutToGoIsNotWaitedForAndEndsNobodyElse() {
    MemoryBudget.Account greedy = open("a", "a1", 101);
    assertThat(ended).containsExactly("a1");
    MemoryBudget.Account other = open("b", "b1", 90);
    greedy.add(1000);
    assertThat(ended).as("once, and nobody for what it still took").containsExactly("a1");
    other.add(20);
    assertThat(ended).containsExactly("a1", "b1");
    greedy.close();
    greedy.add(5);
    greedy.subtract(50);
    assertThat(budget.held()).isEqualTo(110);
    other.close();
    other.close();
    assertThat(budget.held()).isZero();
    open("c", "c1", 100);
    assertThat(ended).containsExactly("a1", "b1");
  }

  @Test
  void whoIsOverBeforeItCanBeEndedEndsAsSoonAsItCan() {
    MemoryBudget.Account early = budget.open("a");
    early.add(200);
    early.whenOver(() -> ended.add("early"));
    assertThat(ended).containsExactly("early");
  }

  @Test
  void oneOfManyThatHoldTheSameGoes() {
    for (int i = 0; i < 11; i++) {
      open("owner-" + i, "n" + i, 10);
    }
    assertThat(ended).hasSize(1);
  }
}
