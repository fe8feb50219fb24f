package dev.cofferdam.gateway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.placeholder.Judge;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.policy.Policy;
import dev.cofferdam.gateway.policy.RequestVerdict;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.gateway.slot.SlotTable;
import dev.cofferdam.kit.egress.RequestFacts;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import io.netty.channel.embedded.EmbeddedChannel;
import java.net.InetAddress;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class OpenRequestTest {
  private static final Host.Name HOST = new Host.Name("api.example.com");
  private static final RequestFacts FACTS = new RequestFacts("GET", HOST.value(), "/", List::of, 0);

  private final SlotTable slots = new SlotTable(() -> 0, InstantSource.system());
  private final EmbeddedChannel loop = new EmbeddedChannel();
  private final List<RequestVerdict> told = new ArrayList<>();

  private static Attachment attachment(long revision, String host) {
    Policy policy =
        Policy.compile(
            EgressPolicy.newBuilder()
                .addRules(EgressRule.newBuilder().setHost(host).addPorts(443))
                .build());
    return new Attachment(
        "sb-1",
        "default",
        "ln-1",
        1,
        1,
        "node-1",
        InetAddress.getLoopbackAddress(),
        policy,
        revision,
        List.of(),
        new Judge(List.of()),
        Optional.empty());
  }

  private OpenRequest under(Attachment judged) {
    return OpenRequest.under(
        judged,
        slots.at(InetAddress.getLoopbackAddress()).orElseThrow(),
        loop.eventLoop(),
        FACTS,
        HOST,
        443,
        told::add);
  }

  private Attachment inForce() {
    return slots.at(InetAddress.getLoopbackAddress()).orElseThrow().attachment();
  }

  @Test
  void itIsJudgedByEachPolicyThatComesIntoForceUntilItIsClosed() {
    slots.put(attachment(1, "api.example.com"));
    OpenRequest open = under(inForce());
    loop.runPendingTasks();
    assertThat(told).isEmpty();

    slots.put(attachment(2, "other.example.com"));
    loop.runPendingTasks();
    assertThat(told).hasSize(1).first().isInstanceOf(RequestVerdict.Denied.class);

    open.close();
    slots.put(attachment(3, "another.example.com"));
    loop.runPendingTasks();
    assertThat(told).hasSize(1);
  }

  /** Between its judgement and its beginning nobody could have told it. */
  @Test
  void aPolicyThatCameBeforeItCouldBeToldIsHeldAgainstIt() {
    slots.put(attachment(1, "api.example.com"));
    Attachment judged = inForce();
    slots.put(attachment(2, "other.example.com"));
    under(judged);
    loop.runPendingTasks();
    assertThat(told).hasSize(1).first().isInstanceOf(RequestVerdict.Denied.class);
  }
}
