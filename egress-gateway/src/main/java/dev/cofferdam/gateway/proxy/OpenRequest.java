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
  private final Consumer<RequestVerdict.Denied> forbidden;

  private OpenRequest(
      Slot slot,
      EventLoop loop,
      RequestFacts facts,
      Host.Name host,
      int port,
      Consumer<RequestVerdict.Denied> forbidden) {
    this.slot = slot;
    this.loop = loop;
    this.facts = facts;
    this.host = host;
    this.port = port;
    this.forbidden = forbidden;
  }

  /**
   * @param judged by what it was let through
   * @param forbidden told on the loop, at any time, once it no longer is
   */
  static OpenRequest under(
      Attachment judged,
      Slot slot,
      EventLoop loop,
      RequestFacts facts,
      Host.Name host,
      int port,
      Consumer<RequestVerdict.Denied> forbidden) {
    OpenRequest open = new OpenRequest(slot, loop, facts, host, port, forbidden);
    // A slot that has ended ends its connections.
    if (slot.add(open) && !slot.attachment().equals(judged)) {
      // It changed before this could be told.
      open.reconsider(slot.attachment());
    }
    return open;
  }

  @Override
  public void reconsider(Attachment attachment) {
    loop.execute(() -> {
      if (attachment.policy().judge(facts, host, port) instanceof RequestVerdict.Denied denied) {
        forbidden.accept(denied);
      }
    });
  }

  /** Its connection is ended with it. */
  @Override
  public void end() {}

  @Override
  public void close() {
    slot.remove(this);
  }
}
