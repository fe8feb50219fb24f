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
import java.util.function.Consumer;

/** What a node may ask of this gateway. Whatever it says, only the broker's word attaches. */
public final class GatewayEndpoint extends GatewayServiceGrpc.GatewayServiceImplBase {
  private final BrokerClient broker;
  private final SlotTable slots;
  private final Consumer<Attachment> attached;

  /**
   * @param attached told of each attachment once it is in force, so that what takes time can begin
   */
  public GatewayEndpoint(BrokerClient broker, SlotTable slots, Consumer<Attachment> attached) {
    this.broker = broker;
    this.slots = slots;
    this.attached = attached;
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
      throw new Refusal(
          ErrorReason.ERROR_REASON_TICKET_INVALID,
          "the ticket is not of sandbox " + request.getSandbox());
    }
    slots.put(attachment);
    attached.accept(attachment);
    answer.onNext(AttachSlotResponse.newBuilder().setPolicyRevision(attachment.revision()).build());
    answer.onCompleted();
  }

  @Override
  public void detachSlot(DetachSlotRequest request, StreamObserver<DetachSlotResponse> answer) {
    slots.detach(request.getSandbox(), request.getEpoch());
    broker.detach(request.getSandbox(), Callers.peer().identity().instance(), request.getEpoch());
    answer.onNext(DetachSlotResponse.getDefaultInstance());
    answer.onCompleted();
  }
}
