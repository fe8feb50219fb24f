package dev.cofferdam.edge.session;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class MemoryBudgetTest {
  private final MemoryBudget budget = new MemoryBudget(100);
  private final List<String> ended = new ArrayList<>();
  private final List<String> cut = new ArrayList<>();

  private MemoryBudget.Account open(String owner, String name, long bytes) {
    MemoryBudget.Account account = budget.open(owner);
    account.whenOver(() -> ended.add(name), () -> cut.add(name));
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
  void thoseThatEndHoldNoMoreThanTheLimitTogether() {
    MemoryBudget.Account first = open("a", "a1", 60);
    open("a", "a2", 50);
    assertThat(ended).containsExactly("a1");
    assertThat(cut).as("its client may still be told").isEmpty();
    open("b", "b1", 55);
    assertThat(ended).containsExactly("a1", "b1");
    assertThat(cut).containsExactly("a1");
    first.add(1);
    open("c", "c1", 120);
    assertThat(cut).as("once").containsExactly("a1", "b1");
  }

  @Test
  void whoIsOverBeforeItCanBeEndedEndsAsSoonAsItCan() {
    MemoryBudget.Account early = budget.open("a");
    early.add(200);
    early.whenOver(() -> ended.add("early"), () -> cut.add("early"));
    assertThat(ended).containsExactly("early");
    assertThat(cut).isEmpty();
    open("b", "b1", 101);
    assertThat(cut).containsExactly("early");
    MemoryBudget.Account late = budget.open("c");
    late.add(200);
    open("d", "d1", 101);
    late.whenOver(() -> ended.add("late"), () -> cut.add("late"));
    assertThat(ended).containsExactly("early", "b1", "d1", "late");
    assertThat(cut).containsExactly("early", "b1", "late");
  }

  @Test
  void oneOfManyThatHoldTheSameGoes() {
    for (int i = 0; i < 11; i++) {
      open("owner-" + i, "n" + i, 10);
    }
    assertThat(ended).hasSize(1);
  }
}
