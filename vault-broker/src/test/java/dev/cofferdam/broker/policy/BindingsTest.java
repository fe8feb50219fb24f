package dev.cofferdam.broker.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BindingsTest {
  private static final List<String> PATTERNS =
      List.of(
          "example.com", "a.example.com", "b.a.example.com", "*.example.com", "*.a.example.com");
  private static final List<String> HOSTS =
      List.of(
          "example.com", "a.example.com", "b.a.example.com", "c.b.a.example.com", "z.example.com");
  private static final List<String> TARGETS =
      List.of("header:authorization", "header:x-api-key", "header:*", "basic:password");
  private static final List<String> USED =
      List.of("header:authorization", "header:x-api-key", "header:cookie", "basic:password");

  private static Binding binding(String host, String target, int occurrences, boolean cleartext) {
    return new Binding(
        List.of(HostPattern.parse(host)),
        List.of(Target.parse(target)),
        occurrences,
        cleartext,
        false);
  }

  private static Use use(String host, String target, int occurrences, boolean tls) {
    return new Use(host, Target.parse(target), occurrences, tls);
  }

  @Test
  void theReasonIsOfTheBindingThatCameNearest() {
    List<Binding> bindings =
        List.of(
            binding("a.example.com", "header:authorization", 1, false),
            binding("z.example.com", "basic:password", 2, true));
    assertThat(Bindings.refuse(bindings, use("a.example.com", "header:authorization", 1, true)))
        .isEmpty();
    assertThat(Bindings.refuse(bindings, use("z.example.com", "basic:password", 2, false)))
        .isEmpty();
    assertThat(Bindings.refuse(bindings, use("b.example.com", "header:authorization", 1, true)))
        .contains(EgressReason.EGRESS_REASON_PLACEHOLDER_HOST_NOT_BOUND);
    assertThat(Bindings.refuse(bindings, use("a.example.com", "header:user-agent", 1, true)))
        .contains(EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
    assertThat(Bindings.refuse(bindings, use("a.example.com", "header:authorization", 2, true)))
        .contains(EgressReason.EGRESS_REASON_PLACEHOLDER_TOO_OFTEN);
    assertThat(Bindings.refuse(bindings, use("a.example.com", "header:authorization", 1, false)))
        .contains(EgressReason.EGRESS_REASON_PLACEHOLDER_CLEARTEXT);
  }

  @Test
  void anyBindingThatMatchesIsEnough() {
    List<Binding> twice =
        List.of(
            binding("a.example.com", "header:authorization", 1, false),
            binding("a.example.com", "header:x-api-key", 1, false));
    assertThat(Bindings.refuse(twice, use("a.example.com", "header:x-api-key", 1, true))).isEmpty();
  }

  @Test
  void anyHeaderIsAHeaderAndNotHalfOfBasic() {
    List<Binding> any = List.of(binding("a.example.com", "header:*", 1, false));
    assertThat(Bindings.refuse(any, use("a.example.com", "header:cookie", 1, true))).isEmpty();
    assertThat(Bindings.refuse(any, use("a.example.com", "basic:password", 1, true)))
        .contains(EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
  }

  /**
   * What narrowing lets pass allows nothing that was not allowed; what it refuses would have
   * allowed something new. Both against every use there is in a small world.
   */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void narrowingNeverWidensAndRefusesOnlyWhatWould(long seed) {
    Random random = new Random(seed);
    int passed = 0;
    int refused = 0;
    for (int round = 0; round < 2000; round++) {
      List<Binding> present = random(random);
      List<Binding> wanted = random(random);
      List<Use> gained =
          everyUse().stream()
              .filter(use -> Bindings.refuse(wanted, use).isEmpty())
              .filter(use -> Bindings.refuse(present, use).isPresent())
              .toList();
      try {
        Bindings.checkNarrower(present, wanted);
        assertThat(gained).as("%s from %s", wanted, present).isEmpty();
        passed++;
      } catch (Refusal e) {
        assertThat(e.reason()).isEqualTo(ErrorReason.ERROR_REASON_BINDING_WIDENED);
        refused++;
      }
    }
    assertThat(passed).isGreaterThan(50);
    assertThat(refused).isGreaterThan(50);
  }

  @Test
  void theSameBindingsAreNoWider() {
    Random random = new Random(7);
    for (int round = 0; round < 200; round++) {
      List<Binding> present = random(random);
      Bindings.checkNarrower(present, present);
    }
  }

  @Test
  void whatIsRequiredStaysSo() {
    HostPattern host = HostPattern.parse("a.example.com");
    Target target = Target.parse("json:/key");
    Binding required = new Binding(List.of(host), List.of(target), 1, false, true);
    Binding optional = new Binding(List.of(host), List.of(target), 1, false, false);
    Bindings.checkNarrower(List.of(optional), List.of(required));
    Bindings.checkNarrower(List.of(required), List.of(required));
    assertThatThrownBy(() -> Bindings.checkNarrower(List.of(required), List.of(optional)))
        .isInstanceOf(Refusal.class)
        .hasMessageContaining("beside keys of the guest's own");
    assertThatThrownBy(
            () -> new Binding(List.of(host), List.of(Target.parse("header:*")), 1, false, true))
        .isInstanceOf(Refusal.class)
        .hasMessageContaining("header:*");
  }

  @Test
  void aMessageOfAWebSocketIsATargetOfItsOwn() {
    assertThat(Target.parse("WebSocket-Frame").text()).isEqualTo("websocket-frame");
    List<Binding> frames = List.of(binding("a.example.com", "websocket-frame", 2, false));
    assertThat(Bindings.refuse(frames, use("a.example.com", "websocket-frame", 2, true))).isEmpty();
    assertThat(Bindings.refuse(frames, use("a.example.com", "websocket-frame", 3, true)))
        .contains(EgressReason.EGRESS_REASON_PLACEHOLDER_TOO_OFTEN);
    assertThat(Bindings.refuse(frames, use("a.example.com", "websocket-frame", 1, false)))
        .contains(EgressReason.EGRESS_REASON_PLACEHOLDER_CLEARTEXT);
    List<Binding> headers = List.of(binding("a.example.com", "header:*", 1, false));
    assertThat(Bindings.refuse(headers, use("a.example.com", "websocket-frame", 1, true)))
        .contains(EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET);
    assertThatThrownBy(() -> Bindings.checkNarrower(headers, frames))
        .isInstanceOf(Refusal.class)
        .hasMessageContaining("websocket-frame");
    HostPattern host = HostPattern.parse("a.example.com");
    List<Target> required = List.of(Target.parse("websocket-frame"));
    assertThatThrownBy(() -> new Binding(List.of(host), required, 1, false, true))
        .isInstanceOf(Refusal.class)
        .hasMessageContaining("websocket-frame");
    assertThatThrownBy(() -> Target.parse("websocket-frame:x")).isInstanceOf(Refusal.class);
  }

  private static List<Binding> random(Random random) {
    List<Binding> bindings = new ArrayList<>();
    for (int i = 0; i <= random.nextInt(3); i++) {
      bindings.add(
          new Binding(
              some(PATTERNS, random).stream().map(HostPattern::parse).toList(),
              some(TARGETS, random).stream().map(Target::parse).toList(),
              1 + random.nextInt(2),
              random.nextBoolean(),
              false));
    }
    return bindings;
  }

  private static List<String> some(List<String> all, Random random) {
    List<String> some =
        all.stream()
            .filter(_ -> random.nextInt(3) == 0)
            .collect(java.util.stream.Collectors.toList());
    return some.isEmpty() ? List.of(all.get(random.nextInt(all.size()))) : some;
  }

  private static List<Use> everyUse() {
    List<Use> uses = new ArrayList<>();
    for (String host : HOSTS) {
      for (String target : USED) {
        for (int occurrences = 1; occurrences <= 3; occurrences++) {
          uses.add(use(host, target, occurrences, true));
          uses.add(use(host, target, occurrences, false));
        }
      }
    }
    return uses;
  }
}
