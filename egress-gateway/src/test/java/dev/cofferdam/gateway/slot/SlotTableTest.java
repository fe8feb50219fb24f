package dev.cofferdam.gateway.slot;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.common.net.InetAddresses;
import com.google.protobuf.ByteString;
import dev.cofferdam.gateway.placeholder.Judge;
import dev.cofferdam.gateway.policy.Policy;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Who is in a slot, and that nothing of whoever was there stays. */
final class SlotTableTest {
  private static final String FIRST = "127.0.1.5";
  private static final String SECOND = "127.0.1.6";

  private final SlotTable slots = new SlotTable(() -> 0, InstantSource.system());
  private final List<String> ended = new ArrayList<>();

  private static Attachment attachment(
      String sandbox, String slot, long epoch, Optional<ByteString> token) {
    return new Attachment(
        sandbox,
        "default",
        "ln-1",
        1,
        epoch,
        "node-1",
        InetAddresses.forString(slot),
        new Policy(List.of()),
        1,
        List.of(),
        new Judge(List.of()),
        token);
  }

  private boolean put(String sandbox, String slot, long epoch) {
    return slots.put(attachment(sandbox, slot, epoch, Optional.empty()));
  }

  private String at(String slot) {
    return slots
        .at(InetAddresses.forString(slot))
        .map(found -> found.attachment().sandbox())
        .orElse("nobody");
  }

  /** A connection, say. */
  private void live(String slot, String name) {
    assertThat(
            slots
                .at(InetAddresses.forString(slot))
                .orElseThrow()
                .add(
                    new Slot.Tenant() {
                      @Override
                      public void reconsider(Attachment attachment) {
                        // It may stay.
                      }

                      @Override
                      public void end() {
                        ended.add(name);
                      }
                    }))
        .isTrue();
  }

  @Test
  void whoIsDetachedIsGoneWithAllOfItsConnections() {
    put("sb-a", FIRST, 1);
    put("sb-b", SECOND, 1);
    live(FIRST, "a");
    live(SECOND, "b");

    slots.detach("sb-a");

    assertThat(at(FIRST)).isEqualTo("nobody");
    assertThat(at(SECOND)).isEqualTo("sb-b");
    assertThat(ended).containsExactly("a");
  }

  @Test
  void whoComesIntoASlotEndsWhoeverWasThere() {
    put("sb-a", FIRST, 1);
    live(FIRST, "a");

    put("sb-b", FIRST, 1);

    assertThat(at(FIRST)).isEqualTo("sb-b");
    assertThat(ended).containsExactly("a");
    // Its end comes late: the slot is another's.
    slots.detach("sb-a");
    assertThat(at(FIRST)).isEqualTo("sb-b");
  }

  @Test
  void whoMovesLeavesNothingBehind() {
    put("sb-a", FIRST, 1);
    live(FIRST, "a");

    put("sb-a", SECOND, 2);

    assertThat(at(FIRST)).isEqualTo("nobody");
    assertThat(at(SECOND)).isEqualTo("sb-a");
    assertThat(ended).containsExactly("a");
    assertThat(put("sb-a", FIRST, 1)).as("an older epoch").isFalse();
    assertThat(at(FIRST)).isEqualTo("nobody");
  }

  /** The gateway was away while the broker detached it. */
  @Test
  void whatASynchronisationDoesNotTellOfIsGone() {
    put("sb-a", FIRST, 1);
    put("sb-b", SECOND, 1);
    live(FIRST, "a");
    live(SECOND, "b");
    slots.syncStarts();
    put("sb-b", SECOND, 1);
    assertThat(ended).isEmpty();

    slots.syncEnds();

    assertThat(at(FIRST)).isEqualTo("nobody");
    assertThat(at(SECOND)).isEqualTo("sb-b");
    assertThat(ended).containsExactly("a");
  }

  /** Its address is one that no packet comes from. */
  @Test
  void aSessionIsFoundByItsTokenAlone() {
    ByteString token = ByteString.copyFromUtf8("hash");
    slots.put(attachment("es-1", FIRST, 1, Optional.of(token)));

    assertThat(at(FIRST)).isEqualTo("nobody");
    assertThat(slots.ofToken(token)).isPresent();
    assertThat(slots.ofToken(ByteString.copyFromUtf8("other"))).isEmpty();
    slots.detach("es-1");
    assertThat(slots.ofToken(token)).isEmpty();
  }
}
