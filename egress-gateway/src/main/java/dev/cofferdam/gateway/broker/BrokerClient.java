package dev.cofferdam.gateway.broker;

import com.google.common.util.concurrent.ListenableFuture;
import com.google.protobuf.ByteString;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.internal.v1.AttachmentServiceGrpc;
import dev.cofferdam.internal.v1.AwaitApprovalRequest;
import dev.cofferdam.internal.v1.AwaitApprovalResponse;
import dev.cofferdam.internal.v1.DetachRequest;
import dev.cofferdam.internal.v1.IssueCertificateRequest;
import dev.cofferdam.internal.v1.MaterializeRequest;
import dev.cofferdam.internal.v1.RedeemTicketRequest;
import dev.cofferdam.kit.client.Guard;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.kit.metrics.Times;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import java.io.ByteArrayInputStream;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** Single calls to the vault-broker. They block: call from a virtual thread. */
public final class BrokerClient {
  private static final long DEADLINE_SECONDS = 5;

  /** More than a broker can be set to wait. */
  private static final long APPROVAL_MINUTES = 61;

  private static final MethodDescriptor<MaterializeRequest, List<SecretValue>> MATERIALIZE =
      AttachmentServiceGrpc.getMaterializeMethod().toBuilder(
              AttachmentServiceGrpc.getMaterializeMethod().getRequestMarshaller(),
              new MaterialisedMarshaller())
          .build();

  private final Channel channel;
  private final Guard guard;
  private final MeterRegistry meters;
  private final Counter substitutions;
  private final Map<String, Timer> answers = new ConcurrentHashMap<>();

  public BrokerClient(Channel channel, MeterRegistry meters) {
    this.channel = channel;
    this.guard = new Guard("vault-broker", ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE, meters);
    this.meters = meters;
    this.substitutions =
        Counter.builder("cofferdam.gateway.substitutions")
            .description("Placeholders for which the broker gave the value")
            .register(meters);
  }

  Channel channel() {
    return channel;
  }

  /**
   * Opens a stream under the circuit of all calls.
   *
   * @param stream ends or is told of the first sign of life
   * @param opened counted down then
   * @param ended why it ended without one
   * @throws StatusRuntimeException when there is no stream
   */
  void opening(Runnable stream, CountDownLatch opened, Supplier<Optional<Throwable>> ended)
      throws InterruptedException {
    boolean interrupted =
        guard.call(() -> {
          stream.run();
          try {
            if (!opened.await(DEADLINE_SECONDS, TimeUnit.SECONDS)) {
              throw Status.DEADLINE_EXCEEDED
                  .withDescription("the stream did not open in %d s".formatted(DEADLINE_SECONDS))
                  .asRuntimeException();
            }
          } catch (InterruptedException e) {
            return true;
          }
          ended
              .get()
              .ifPresent(why -> {
                throw Status.fromThrowable(why)
                    .asRuntimeException(Status.trailersFromThrowable(why));
              });
          return false;
        });
    if (interrupted) {
      throw new InterruptedException();
    }
  }

  /**
   * @param node that handed the ticket in, by its certificate
   * @throws io.grpc.StatusRuntimeException as the broker refused
   */
  public Attachment redeem(String ticket, String node, String slotAddress) {
    return Attachments.read(
        guard.call(() ->
            stub()
                .redeemTicket(
                    RedeemTicketRequest.newBuilder()
                        .setTicket(ticket)
                        .setNode(node)
                        .setSlotAddress(slotAddress)
                        .build())));
  }

  public void detach(String sandbox, String node, long epoch) {
    guard.idempotent(() ->
        stub()
            .detach(
                DetachRequest.newBuilder()
                    .setSandbox(sandbox)
                    .setNode(node)
                    .setEpoch(epoch)
                    .build()));
  }

  /**
   * @param request PKCS #10, DER
   */
  public X509Certificate issue(String sandbox, long revision, byte[] request) {
    ByteString der =
        guard
            .idempotent(() ->
                stub()
                    .issueCertificate(
                        IssueCertificateRequest.newBuilder()
                            .setSandbox(sandbox)
                            .setPolicyRevision(revision)
                            .setCertificateRequest(ByteString.copyFrom(request))
                            .build()))
            .getCertificate();
    try {
      return (X509Certificate)
          CertificateFactory.getInstance("X.509")
              .generateCertificate(new ByteArrayInputStream(der.toByteArray()));
    } catch (CertificateException e) {
      throw Status.INTERNAL
          .withDescription("the broker's issuer is no certificate")
          .withCause(e)
          .asRuntimeException();
    }
  }

  /**
   * @return in the order of the question's uses, for the caller to close
   */
  public List<SecretValue> materialise(Question question) {
    MaterializeRequest request = question.toProto();
    Timer.Sample sample = Timer.start(meters);
    String outcome = "failed";
    try {
      List<SecretValue> values =
          guard.call(() -> {
            List<SecretValue> answer =
                ClientCalls.blockingUnaryCall(
                    channel,
                    MATERIALIZE,
                    CallOptions.DEFAULT.withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS),
                    request);
            if (answer.size() != question.uses().size()) {
              answer.forEach(SecretValue::close);
              throw Status.INTERNAL
                  .withDescription(
                      "%d values, expected %d".formatted(answer.size(), question.uses().size()))
                  .asRuntimeException();
            }
            return answer;
          });
      outcome = "given";
      substitutions.increment(values.size());
      return values;
    } catch (StatusRuntimeException e) {
      outcome = Refusals.reason(e).isPresent() ? "refused" : outcome;
      throw e;
    } finally {
      sample.stop(answers.computeIfAbsent(outcome, this::answers));
    }
  }

  private Timer answers(String outcome) {
    return Times.histogram("cofferdam.gateway.materialise", "The broker's answer to a use")
        .tag("outcome", outcome)
        .register(meters);
  }

  /**
   * Does not block, and takes as long as a person: outside the circuit of short calls. To cancel it
   * is to let the approval go.
   */
  public ListenableFuture<AwaitApprovalResponse> awaitApproval(AwaitApprovalRequest request) {
    return AttachmentServiceGrpc.newFutureStub(channel)
        .withDeadlineAfter(APPROVAL_MINUTES, TimeUnit.MINUTES)
        .awaitApproval(request);
  }

  private AttachmentServiceGrpc.AttachmentServiceBlockingStub stub() {
    return AttachmentServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS);
  }
}
