package dev.cofferdam.gateway.slot;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.placeholder.Judge;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.policy.Policy;
import java.net.InetAddress;
import java.time.InstantSource;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;

final class SyntheticNamesTest {
  private static Host.Name name(String text) {
    return new Host.Name(text);
  }

  private static InetAddress address(SyntheticNames names, String name) {
    return names.addressOf(name(name)).orElseThrow();
  }

  @Test
  void anAddressFromBeforeARestartIsNoOtherNames() {
    RandomGenerator random = new Random(1);
    SyntheticNames before = new SyntheticNames(random);
    InetAddress held = address(before, "a.test");

    SyntheticNames after = new SyntheticNames(random);
    address(after, "b.test");

    assertThat(after.nameOf(held)).isEmpty();
    assertThat(before.nameOf(held)).contains(name("a.test"));
  }

  @Test
  void aLineageWhoseLastSlotWentBeginsElsewhere() throws Exception {
    SlotTable slots = new SlotTable(new Random(1), InstantSource.system());
    InetAddress slot = InetAddress.getByName("100.64.0.2");
    Attachment attachment =
        new Attachment(
            "sb-1",
            "default",
            "ln-1",
            1,
            1,
            "node-1",
            slot,
            new Policy(List.of()),
            1,
            List.of(),
            new Judge(List.of()),
            Optional.empty());
    slots.put(attachment);
    InetAddress held = address(slots.at(slot).orElseThrow().names(), "a.test");

    slots.detach("sb-1");
    slots.put(attachment);
    SyntheticNames after = slots.at(slot).orElseThrow().names();
    address(after, "b.test");

    assertThat(after.nameOf(held)).isEmpty();
  }

  @Test
  void theRangeIsUsedUpFromAnyStartAndNothingIsGivenTwice() {
    // At the end: it goes on at the beginning.
    RandomGenerator last =
        new RandomGenerator() {
          @Override
          public long nextLong() {
            return -1;
          }

          @Override
          public int nextInt(int bound) {
            return bound - 1;
          }
        };
    SyntheticNames names = new SyntheticNames(last, 3);
    Set<InetAddress> given = new HashSet<>();
    for (String name : List.of("a.test", "b.test", "c.test")) {
      InetAddress address = address(names, name);
      assertThat(Host.isSynthetic(address)).isTrue();
      assertThat(address.getHostAddress()).doesNotStartWith("198.18.0.");
      given.add(address);
    }
    assertThat(given).hasSize(3).contains(address(names, "a.test"));
    assertThat(names.addressOf(name("d.test"))).isEmpty();
  }
}
