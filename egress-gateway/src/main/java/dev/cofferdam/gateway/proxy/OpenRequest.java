package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.policy.RequestVerdict;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.gateway.slot.Slot;
import dev.cofferdam.kit.egress.RequestFacts;
import io.netty.channel.EventLoop;
import java.util.function.Consumer;

/**
 * A request that was let through, for as long as the policy lets it: an answer may go on for hours.
 */
final class OpenRequest implements Slot.Tenant, AutoCloseable {
  private final Slot slot;
  private final EventLoop loop;
  private final RequestFacts facts;
  private final Host.Name host;
  private final int port;
  private final Consumer<RequestVerdict> verdict;

  private OpenRequest(
      Slot slot,
      EventLoop loop,
      RequestFacts facts,
      Host.Name host,
      int port,
      Consumer<RequestVerdict> verdict) {
    this.slot = slot;
    this.loop = loop;
    this.facts = facts;
    this.host = host;
    this.port = port;
    this.verdict = verdict;
  }

  /**
   * @param judged by what it was let through
   * @param verdict told on the loop, at any time, of each policy that comes into force meanwhile
   */
  static OpenRequest under(
      Attachment judged,
      Slot slot,
      EventLoop loop,
      RequestFacts facts,
      Host.Name host,
      int port,
      Consumer<RequestVerdict> verdict) {
    OpenRequest open = new OpenRequest(slot, loop, facts, host, port, verdict);
    // A slot that has ended ends its connections.
    if (slot.add(open) && !slot.attachment().equals(judged)) {
      // It changed before this could be told.
      open.reconsider(slot.attachment());
    }
    return open;
  }

  @Override
  public void reconsider(Attachment attachment) {
    loop.execute(() -> verdict.accept(attachment.policy().judge(facts, host, port)));
  }

  /** Its connection is ended with it. */
  @Override
  public void end() {}

  @Override
  public void close() {
    slot.remove(this);
  }
}
