package dev.cofferdam.broker.api;

import static dev.cofferdam.broker.api.Answers.answer;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.audit.Reports;
import dev.cofferdam.broker.grant.Approvals;
import dev.cofferdam.broker.grant.Attachments;
import dev.cofferdam.broker.grant.MaterialiseRequest;
import dev.cofferdam.broker.grant.Materialiser;
import dev.cofferdam.broker.grant.Redemption;
import dev.cofferdam.broker.grant.Signing;
import dev.cofferdam.broker.policy.Target;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.AttachmentServiceGrpc;
import dev.cofferdam.internal.v1.AwaitApprovalRequest;
import dev.cofferdam.internal.v1.AwaitApprovalResponse;
import dev.cofferdam.internal.v1.DetachRequest;
import dev.cofferdam.internal.v1.DetachResponse;
import dev.cofferdam.internal.v1.IssueCertificateRequest;
import dev.cofferdam.internal.v1.IssueCertificateResponse;
import dev.cofferdam.internal.v1.MaterializeRequest;
import dev.cofferdam.internal.v1.PlaceholderUse;
import dev.cofferdam.internal.v1.RedeemTicketRequest;
import dev.cofferdam.internal.v1.ReportDecisionsRequest;
import dev.cofferdam.internal.v1.ReportDecisionsResponse;
import dev.cofferdam.internal.v1.SyncAttachmentsRequest;
import dev.cofferdam.internal.v1.SyncAttachmentsResponse;
import dev.cofferdam.kit.call.Callers;
import io.grpc.ServerServiceDefinition;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;

/**
 * {@code cofferdam.internal.v1.AttachmentService}, for gateways. Which gateway it is comes from the
 * certificate, so none learns or uses what is another's.
 */
final class AttachmentApi extends AttachmentServiceGrpc.AttachmentServiceImplBase {
  private final Redemption redemption;
  private final Attachments attachments;
  private final Materialiser materialiser;
  private final Approvals approvals;
  private final Reports reports;
  private final Duration policyLease;
  private final ExecutorService executor;
  private final Map<String, AttachmentStream> streams = new ConcurrentHashMap<>();

  /**
   * @param executor a virtual thread for each stream
   */
  AttachmentApi(
      Redemption redemption,
      Attachments attachments,
      Materialiser materialiser,
      Approvals approvals,
      Reports reports,
      Duration policyLease,
      ExecutorService executor) {
    this.redemption = redemption;
    this.attachments = attachments;
    this.materialiser = materialiser;
    this.approvals = approvals;
    this.reports = reports;
    this.policyLease = policyLease;
    this.executor = executor;
  }

  /** With the method that gives values bound to off-heap memory. */
  ServerServiceDefinition definition() {
    return HandBound.replace(
        bindService(),
        HandBound.method(
            AttachmentServiceGrpc.getMaterializeMethod().toBuilder(
                    AttachmentServiceGrpc.getMaterializeMethod().getRequestMarshaller(),
                    new ValuesMarshaller())
                .build(),
            this::materialise));
  }

  @Override
  public void redeemTicket(RedeemTicketRequest request, StreamObserver<Attachment> observer) {
    answer(
        observer,
        redemption.redeem(
            gateway(), request.getTicket(), request.getNode(), request.getSlotAddress()));
  }

  @Override
  public void detach(DetachRequest request, StreamObserver<DetachResponse> observer) {
    attachments.detach(gateway(), request.getSandbox(), request.getNode(), request.getEpoch());
    answer(observer, DetachResponse.getDefaultInstance());
  }

  @Override
  public void issueCertificate(
      IssueCertificateRequest request, StreamObserver<IssueCertificateResponse> observer) {
    byte[] certificate =
        attachments.issueCertificate(
            gateway(),
            request.getSandbox(),
            request.getPolicyRevision(),
            request.getCertificateRequest().toByteArray());
    answer(
        observer,
        IssueCertificateResponse.newBuilder()
            .setCertificate(ByteString.copyFrom(certificate))
            .build());
  }

  @Override
  public StreamObserver<SyncAttachmentsRequest> syncAttachments(
      StreamObserver<SyncAttachmentsResponse> observer) {
    String gateway = gateway();
    ServerCallStreamObserver<SyncAttachmentsResponse> call =
        (ServerCallStreamObserver<SyncAttachmentsResponse>) observer;
    AttachmentStream stream =
        new AttachmentStream(gateway, attachments, policyLease, executor, call);
    call.setOnCancelHandler(() -> {
      stream.stop();
      streams.remove(gateway, stream);
    });
    // A gateway has one stream: the older belongs to a process or connection that is gone.
    Optional.ofNullable(streams.put(gateway, stream)).ifPresent(AttachmentStream::stop);
    return stream;
  }

  @Override
  public StreamObserver<ReportDecisionsRequest> reportDecisions(
      StreamObserver<ReportDecisionsResponse> observer) {
    ServerCallStreamObserver<ReportDecisionsResponse> call =
        (ServerCallStreamObserver<ReportDecisionsResponse>) observer;
    DecisionStream stream = new DecisionStream(gateway(), reports, executor, call);
    call.setOnCancelHandler(stream::stop);
    return stream;
  }

  /** On a thread of its own, for it takes as long as a person. */
  @Override
  public void awaitApproval(
      AwaitApprovalRequest request, StreamObserver<AwaitApprovalResponse> observer) {
    String gateway = gateway();
    ServerCallStreamObserver<AwaitApprovalResponse> call =
        (ServerCallStreamObserver<AwaitApprovalResponse>) observer;
    // Its presence keeps an answer to a caller who has left from throwing; a look finds it out.
    call.setOnCancelHandler(() -> {});
    var _ =
        executor.submit(() ->
            Answers.told(
                call,
                () -> Answers.answer(call, approvals.await(gateway, request, call::isCancelled))));
  }

  private Values materialise(MaterializeRequest request) throws InterruptedException {
    return new Values(
        materialiser.materialise(
            new MaterialiseRequest(
                gateway(),
                request.getSandbox(),
                request.getSlotAddress(),
                request.getGeneration(),
                request.getRequest(),
                request.getHost(),
                request.getPort(),
                request.getMethod(),
                request.getPath(),
                request.getTls(),
                request.getUsesList().stream().map(AttachmentApi::found).toList())));
  }

  private static MaterialiseRequest.Found found(PlaceholderUse use) {
    return new MaterialiseRequest.Found(
        use.getPlaceholderSha256(),
        use.getTarget(),
        use.getOccurrences(),
        use.hasToSign()
            ? Signing.of(Target.parse(use.getTarget()), use.getToSign())
            : Optional.empty(),
        use.getAfterUnauthorized());
  }

  private static String gateway() {
    return Callers.peer().identity().instance();
  }
}
