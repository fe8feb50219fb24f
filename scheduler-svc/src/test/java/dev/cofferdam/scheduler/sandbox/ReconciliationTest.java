package dev.cofferdam.scheduler.sandbox;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.scheduler.sandbox.Reconciliation.Outcome;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ReconciliationTest {
  private static final Instant LATER = Samples.NOW.plus(Duration.ofMinutes(1));

  private static final Reconciliation.Report RUNNING = report(1, Activity.RUNNING, 0);

  private static Reconciliation.Report report(long epoch, Activity activity, long change) {
    return new Reconciliation.Report(epoch, activity, change);
  }

  private static Sandbox running(int number, String node, Instant since) {
    return Samples.starting(number, "acme", node)
        .started(Samples.started(Isolation.EMULATED, 1), since)
        .after();
  }

  @Test
  void whatTheRecordDoesNotWantIsRemoved() {
    Sandbox here = running(1, "n1", Samples.NOW);
    Sandbox elsewhere = running(2, "n2", Samples.NOW);
    Sandbox ended =
        running(3, "n1", Samples.NOW)
            .stopping(EndCause.DELETED, "")
            .after()
            .ended(Samples.NOW)
            .after();
    Sandbox stopping = running(4, "n1", Samples.NOW).stopping(EndCause.DELETED, "").after();
    Sandbox starting = Samples.starting(5, "acme", "n1");
    Outcome outcome =
        Reconciliation.decide(
            "n1",
            List.of(here, elsewhere, ended, stopping, starting),
            Stream.of(here, elsewhere, ended, stopping, starting)
                .map(Sandbox::id)
                .collect(Collectors.toMap(id -> id, _ -> RUNNING)),
            LATER);
    assertThat(outcome.remove()).containsExactlyInAnyOrder(elsewhere.id(), ended.id());
    assertThat(Reconciliation.decide("n1", List.of(), Map.of("unknown", RUNNING), LATER).remove())
        .containsExactly("unknown");
    assertThat(outcome.lost()).isEmpty();
  }

  @Test
  void epochsDecide() {
    Sandbox here = running(1, "n1", Samples.NOW);
    assertThat(
            Reconciliation.decide(
                    "n1", List.of(here), Map.of(here.id(), report(2, Activity.RUNNING, 0)), LATER)
                .ahead())
        .containsExactly(here.id());
    assertThat(
            Reconciliation.decide(
                    "n1", List.of(here), Map.of(here.id(), report(0, Activity.RUNNING, 0)), LATER)
                .remove())
        .containsExactly(here.id());
  }

  @Test
  void aListMadeBeforeASandboxBeganSaysNothingOfIt() {
    Sandbox before = running(1, "n1", LATER.minusNanos(1));
    Sandbox after = running(2, "n1", LATER);
    Outcome outcome = Reconciliation.decide("n1", List.of(before, after), Map.of(), LATER);
    assertThat(outcome.lost()).containsExactly(before);
    assertThat(outcome.unsure()).containsExactly(after);
  }

  @Test
  void theNodeKnowsWhatASandboxDoes() {
    Sandbox before = running(1, "n1", LATER.minusNanos(1));
    Sandbox after = running(2, "n1", LATER);
    Outcome uncounted =
        Reconciliation.decide(
            "n1",
            List.of(before, after),
            Map.of(
                before.id(), report(1, Activity.SUSPENDED, 0),
                after.id(), report(1, Activity.SUSPENDED, 0)),
            LATER);
    assertThat(uncounted.changed()).containsExactly(before);
    assertThat(uncounted.unsure()).containsExactly(after);
    Sandbox paused = after.observed(Activity.PAUSED, 7, LATER, "").orElseThrow().after();
    assertThat(changed(paused, report(1, Activity.RUNNING, 8))).containsExactly(paused);
    assertThat(changed(paused, report(1, Activity.RUNNING, 6))).isEmpty();
    assertThat(changed(paused, report(1, Activity.PAUSED, 8))).isEmpty();
  }

  private static List<Sandbox> changed(Sandbox record, Reconciliation.Report report) {
    Outcome outcome =
        Reconciliation.decide("n1", List.of(record), Map.of(record.id(), report), LATER);
    assertThat(outcome.unsure()).isEmpty();
    assertThat(outcome.lost()).isEmpty();
    return outcome.changed();
  }

  @Test
  void oneThatSleepsIsMissedAsOneThatRuns() {
    Sandbox asleep =
        running(1, "n1", Samples.NOW)
            .observed(Activity.SUSPENDED, 1, Samples.NOW, "")
            .orElseThrow()
            .after();
    assertThat(Reconciliation.decide("n1", List.of(asleep), Map.of(), LATER).lost())
        .containsExactly(asleep);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void whatBothAgreeOnIsNeverTouched(long seed) {
    Random random = new Random(seed);
    for (int i = 0; i < 500; i++) {
      List<Sandbox> records = new ArrayList<>();
      Map<String, Reconciliation.Report> reported = new HashMap<>();
      List<String> agreed = new ArrayList<>();
      for (int n = 0; n < 20; n++) {
        Sandbox sandbox = running(n, random.nextBoolean() ? "n1" : "n2", Samples.NOW);
        boolean says = random.nextBoolean();
        if (random.nextInt(4) > 0) {
          records.add(sandbox);
          if (says && sandbox.node().equals("n1")) {
            agreed.add(sandbox.id());
          }
        }
        if (says) {
          reported.put(sandbox.id(), RUNNING);
        }
      }
      Outcome outcome = Reconciliation.decide("n1", records, reported, LATER);
      assertThat(outcome.remove()).noneMatch(agreed::contains);
      assertThat(outcome.lost()).noneMatch(sandbox -> agreed.contains(sandbox.id()));
      // Everything reported is either agreed on or removed.
      assertThat(outcome.remove().size() + agreed.size()).isEqualTo(reported.size());
      assertThat(outcome.lost()).allMatch(sandbox -> sandbox.node().equals("n1"));
    }
  }
}
