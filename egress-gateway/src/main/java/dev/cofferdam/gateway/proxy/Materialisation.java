package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.broker.Question;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.gateway.slot.Slot;
import dev.cofferdam.gateway.slot.Tally;
import io.netty.channel.EventLoop;
import java.util.List;

/** Asks the broker for all values that a request needs, in one call. */
final class Materialisation {
  /** Who is told, on the event loop. */
  interface Listener {
    /**
     * @param values in the order of the question's uses, for the listener to close
     */
    void materialised(List<SecretValue> values);

    void notMaterialised(UpstreamException why);
  }

  private Materialisation() {}

  /**
   * @return false: so many requests of the sandbox wait for values already that this one may not,
   *     and nobody will be told
   */
  static boolean begin(
      Surroundings surroundings, Slot slot, EventLoop loop, Question question, Listener listener) {
    Tally waiting = slot.materialisations();
    if (!waiting.tryAdd(surroundings.limits().materialisationsPerSandbox())) {
      return false;
    }
    surroundings
        .blocking()
        .execute(() -> {
          try {
            List<SecretValue> values = surroundings.broker().materialise(question);
            loop.execute(() -> listener.materialised(values));
          } catch (RuntimeException e) {
            loop.execute(() -> listener.notMaterialised(MaterialiseFailures.of(e)));
          } finally {
            waiting.remove();
          }
        });
    return true;
  }
}
