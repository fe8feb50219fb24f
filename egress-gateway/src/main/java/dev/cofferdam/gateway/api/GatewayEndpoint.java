package dev.cofferdam.gateway.api;

import dev.cofferdam.gateway.broker.BrokerClient;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.gateway.slot.SlotTable;
import dev.cofferdam.internal.v1.AttachSlotRequest;
import dev.cofferdam.internal.v1.AttachSlotResponse;
import dev.cofferdam.internal.v1.DetachSlotRequest;
import dev.cofferdam.internal.v1.DetachSlotResponse;
import dev.cofferdam.internal.v1.GatewayServiceGrpc;
import dev.cofferdam.kit.call.CallRules;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.Optional;

/** What a node may ask of this gateway. Whatever it says, only the broker's word attaches. */
public final class GatewayEndpoint extends GatewayServiceGrpc.GatewayServiceImplBase {
  private final BrokerClient broker;
  private final SlotTable slots;
  private final Duration patience;

  /**
   * @param patience how long the stream of attachments may take to tell of a redeemed ticket
   */
  public GatewayEndpoint(BrokerClient broker, SlotTable slots, Duration patience) {
    this.broker = broker;
    this.slots = slots;
    this.patience = patience;
  }

  public static CallRules rules() {
    return CallRules.builder()
        .peers(GatewayServiceGrpc.getAttachSlotMethod(), "node-agent")
        .peers(GatewayServiceGrpc.getDetachSlotMethod(), "node-agent")
        .build();
  }

  @Override
  public void attachSlot(AttachSlotRequest request, StreamObserver<AttachSlotResponse> answer) {
    if (request.getTicket().isEmpty() || request.getSlotAddress().isEmpty()) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT, "ticket and slot_address are required");
    }
    String node = Callers.peer().identity().instance();
    Attachment attachment = broker.redeem(request.getTicket(), node, request.getSlotAddress());
    if (!attachment.sandbox().equals(request.getSandbox())) {
      // The broker has attached it; here it never is, and there no longer.
      detach(attachment.sandbox(), node, attachment.epoch());
      throw new Refusal(
          ErrorReason.ERROR_REASON_TICKET_INVALID,
          "the ticket is not of sandbox " + request.getSandbox());
    }
    Attachment inForce =
        awaitStream(attachment)
            .orElseThrow(() ->
                new Refusal(
                    ErrorReason.ERROR_REASON_STALE_EPOCH,
                    "epoch %d of sandbox %s is over, or the broker has not told of it in %s"
                        .formatted(attachment.epoch(), attachment.sandbox(), patience)));
    answer.onNext(AttachSlotResponse.newBuilder().setPolicyRevision(inForce.revision()).build());
    answer.onCompleted();
  }

  /** What was redeemed may be long over: the slot may be another's by now. */
  private Optional<Attachment> awaitStream(Attachment redeemed) {
    try {
      return slots.await(redeemed, patience);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return Optional.empty();
    }
  }

  private void detach(String sandbox, String node, long epoch) {
    slots.detach(sandbox, node, epoch);
    broker.detach(sandbox, node, epoch);
    slots.left(sandbox, node);
  }

  @Override
  public void detachSlot(DetachSlotRequest request, StreamObserver<DetachSlotResponse> answer) {
    detach(request.getSandbox(), Callers.peer().identity().instance(), request.getEpoch());
    answer.onNext(DetachSlotResponse.getDefaultInstance());
    answer.onCompleted();
  }
}
