package dev.cofferdam.node.gateway;

import dev.cofferdam.internal.v1.AttachSlotRequest;
import dev.cofferdam.internal.v1.DetachSlotRequest;
import dev.cofferdam.internal.v1.GatewayServiceGrpc;
import dev.cofferdam.kit.client.Guard;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.node.sandbox.Gateway;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Channel;
import io.grpc.StatusRuntimeException;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** The egress gateway over gRPC. */
public final class GrpcGateway implements Gateway {
  private static final long DEADLINE_SECONDS = 5;

  private final GatewayServiceGrpc.GatewayServiceBlockingStub stub;
  private final Guard guard;

  public GrpcGateway(Channel channel, Guard guard) {
    this.stub = GatewayServiceGrpc.newBlockingStub(channel);
    this.guard = guard;
  }

  @Override
  public void attach(String sandbox, String slotAddress, String ticket) {
    AttachSlotRequest request =
        AttachSlotRequest.newBuilder()
            .setSandbox(sandbox)
            .setSlotAddress(slotAddress)
            .setTicket(ticket)
            .build();
    // A ticket is for one use: a second try could only fail with a worse reason than the first.
    reached(() ->
        guard.call(
            () -> stub.withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS).attachSlot(request)));
  }

  @Override
  public void detach(String sandbox, String slotAddress, long epoch) {
    DetachSlotRequest request =
        DetachSlotRequest.newBuilder()
            .setSandbox(sandbox)
            .setSlotAddress(slotAddress)
            .setEpoch(epoch)
            .build();
    reached(() ->
        guard.idempotent(
            () -> stub.withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS).detachSlot(request)));
  }

  private static <T> void reached(Supplier<T> call) {
    try {
      var _ = call.get();
    } catch (StatusRuntimeException e) {
      if (Refusals.reason(e).isPresent()) {
        throw e;
      }
      Refusal refusal =
          new Refusal(
              ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE,
              "the egress gateway did not answer: " + e.getStatus().getCode());
      refusal.initCause(e);
      throw refusal;
    }
  }
}
