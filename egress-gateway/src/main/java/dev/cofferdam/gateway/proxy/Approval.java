package dev.cofferdam.gateway.proxy;

import com.google.common.util.concurrent.ListenableFuture;
import dev.cofferdam.gateway.placeholder.Use;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.internal.v1.AwaitApprovalRequest;
import dev.cofferdam.internal.v1.AwaitApprovalResponse;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.v1.EgressReason;
import io.netty.channel.EventLoop;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;

/** One request's wait for somebody's word, which the broker carries. Used on one event loop. */
final class Approval implements AutoCloseable {
  /** Who is told, once. */
  interface Listener {
    void approved();

    void notApproved(EgressReason reason, String message);
  }

  private final ListenableFuture<AwaitApprovalResponse> call;
  private final Listener listener;
  private String id = "";
  private boolean over;

  private Approval(ListenableFuture<AwaitApprovalResponse> call, Listener listener) {
    this.call = call;
    this.listener = listener;
  }

  /**
   * @param head as it would be sent on
   * @param path as it may be shown
   * @param uses of secrets, those in the body too
   */
  static Approval ask(
      Surroundings surroundings,
      EventLoop loop,
      Attachment attachment,
      String request,
      RequestHead head,
      String path,
      Host.Name host,
      int port,
      boolean tls,
      List<Use> uses,
      Listener listener) {
    AwaitApprovalRequest asked =
        AwaitApprovalRequest.newBuilder()
            .setSandbox(attachment.sandbox())
            .setSlotAddress(attachment.slot().getHostAddress())
            .setGeneration(attachment.generation())
            .setRequest(request)
            .setHost(host.value())
            .setPort(port)
            .setMethod(head.method())
            .setPath(path)
            .setTls(tls)
            .setBodyBytes(head.bodyLength())
            .setContentType(String.join(", ", head.headers().all("content-type")))
            .addAllGrants(uses.stream().map(use -> use.grant().id()).distinct().toList())
            .build();
    Approval approval = new Approval(surroundings.broker().awaitApproval(asked), listener);
    approval.call.addListener(approval::answered, loop);
    return approval;
  }

  /** Whether it still waits. */
  boolean waits() {
    return !over;
  }

  /** Of the approval, where there was one. */
  String id() {
    return id;
  }

  private void answered() {
    if (over) {
      return;
    }
    over = true;
    try {
      AwaitApprovalResponse response = call.get();
      id = response.getApproval();
      switch (response.getRefused()) {
        case EGRESS_REASON_UNSPECIFIED -> listener.approved();
        case EGRESS_REASON_APPROVAL_DENIED ->
            listener.notApproved(response.getRefused(), "the request was not approved");
        case EGRESS_REASON_TOO_MANY_WAITING ->
            listener.notApproved(
                response.getRefused(), "too many requests of this sandbox wait for an approval");
        default ->
            // An answer that this gateway does not know is no approval.
            listener.notApproved(
                EgressReason.EGRESS_REASON_APPROVAL_TIMEOUT,
                "the request was not approved in time");
      }
    } catch (ExecutionException | CancellationException e) {
      listener.notApproved(
          EgressReason.EGRESS_REASON_BROKER_UNAVAILABLE,
          "the vault-broker cannot be asked for an approval");
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Nobody waits for it any more. */
  @Override
  public void close() {
    if (!over) {
      over = true;
      // Without the interrupt the future alone would be cancelled, and not the call.
      call.cancel(/* mayInterruptIfRunning= */ true);
    }
  }
}
