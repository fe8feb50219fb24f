package dev.cofferdam.gateway;

import com.google.protobuf.ByteString;
import com.google.protobuf.Duration;
import dev.cofferdam.gateway.placeholder.PlaceholderHash;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.AttachmentServiceGrpc;
import dev.cofferdam.internal.v1.AwaitApprovalRequest;
import dev.cofferdam.internal.v1.AwaitApprovalResponse;
import dev.cofferdam.internal.v1.DetachRequest;
import dev.cofferdam.internal.v1.DetachResponse;
import dev.cofferdam.internal.v1.IssueCertificateRequest;
import dev.cofferdam.internal.v1.IssueCertificateResponse;
import dev.cofferdam.internal.v1.Lease;
import dev.cofferdam.internal.v1.MaterializeRequest;
import dev.cofferdam.internal.v1.MaterializeResponse;
import dev.cofferdam.internal.v1.PlaceholderUse;
import dev.cofferdam.internal.v1.RedeemTicketRequest;
import dev.cofferdam.internal.v1.ReportDecisionsRequest;
import dev.cofferdam.internal.v1.ReportDecisionsResponse;
import dev.cofferdam.internal.v1.SyncAttachmentsRequest;
import dev.cofferdam.internal.v1.SyncAttachmentsResponse;
import dev.cofferdam.internal.v1.Synchronized;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.ManagedChannel;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.security.cert.CertificateEncodingException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

/** A broker that knows what a test tells it, behind real gRPC on loopback. */
final class FakeBroker extends AttachmentServiceGrpc.AttachmentServiceImplBase
    implements AutoCloseable {
  final Map<String, byte[]> values = new ConcurrentHashMap<>();
  final Map<String, Attachment> attachments = new ConcurrentHashMap<>();
  final Map<String, Attachment> tickets = new ConcurrentHashMap<>();
  final List<String> detached = new CopyOnWriteArrayList<>();
  final List<MaterializeRequest> materialised = new CopyOnWriteArrayList<>();
  final BlockingQueue<IssueCertificateRequest> issued = new LinkedBlockingQueue<>();
  final BlockingQueue<AuditEvent> events = new LinkedBlockingQueue<>();
  final List<ReportDecisionsRequest> reports = new CopyOnWriteArrayList<>();

  /** Of attachments, that were opened. */
  final AtomicInteger streams = new AtomicInteger();

  private final List<StreamObserver<SyncAttachmentsResponse>> syncs = new CopyOnWriteArrayList<>();
  private final TestPki lineage;
  private final Server server;
  private long sequence;
  volatile boolean away;

  /** What values are refused with. */
  volatile Optional<Refusal> refusal = Optional.empty();

  volatile boolean keepsReports = true;

  /** Answers a request for values with none. */
  volatile boolean forgetsValues;

  /** Signs no certificate. */
  volatile boolean signsNothing;

  /** Takes streams of attachments and says nothing in them. */
  volatile boolean silent;

  /** What happens while the gateway waits for the values. */
  volatile Runnable beforeValues = () -> {};

  /** Keeps back the answers to tickets, which have been redeemed. */
  volatile boolean holdsRedeemed;

  /** Calls for approvals, each for a test to answer. */
  final BlockingQueue<Asked> asked = new LinkedBlockingQueue<>();

  final BlockingQueue<Redeemed> redeemed = new LinkedBlockingQueue<>();

  FakeBroker(TestPki lineage) throws IOException {
    this(lineage, builder -> builder);
  }

  FakeBroker(TestPki lineage, UnaryOperator<NettyServerBuilder> transport) throws IOException {
    this.lineage = lineage;
    this.server =
        transport
            .apply(NettyServerBuilder.forAddress(new InetSocketAddress("127.0.0.1", 0)))
            .addService(this)
            .build()
            .start();
  }

  int port() {
    return server.getPort();
  }

  @Override
  public void redeemTicket(RedeemTicketRequest request, StreamObserver<Attachment> out) {
    Attachment attachment = tickets.remove(request.getTicket());
    if (attachment == null
        || !attachment.getNode().equals(request.getNode())
        || !attachment.getSlotAddress().equals(request.getSlotAddress())) {
      out.onError(
          Refusals.toStatus(
              new Refusal(ErrorReason.ERROR_REASON_TICKET_INVALID, "the ticket is not valid")));
      return;
    }
    put(attachment);
    Redeemed held = new Redeemed(attachment, out);
    if (holdsRedeemed) {
      redeemed.add(held);
    } else {
      held.answer();
    }
  }

  /** A ticket that was redeemed and whose answer is on its way. */
  record Redeemed(Attachment attachment, StreamObserver<Attachment> out) {
    void answer() {
      out.onNext(attachment);
      out.onCompleted();
    }
  }

  synchronized void detach(String sandbox) {
    attachments.remove(sandbox);
    syncs.forEach(out -> tell(out, SyncAttachmentsResponse.newBuilder().setDetached(sandbox)));
  }

  @Override
  public void detach(DetachRequest request, StreamObserver<DetachResponse> out) {
    detached.add(request.getSandbox());
    Attachment known = attachments.get(request.getSandbox());
    if (known != null
        && known.getNode().equals(request.getNode())
        && known.getEpoch() <= request.getEpoch()) {
      detach(request.getSandbox());
    }
    out.onNext(DetachResponse.getDefaultInstance());
    out.onCompleted();
  }

  ManagedChannel channel() {
    return NettyChannelBuilder.forAddress("127.0.0.1", server.getPort()).usePlaintext().build();
  }

  void secret(String placeholder, String value) {
    values.put(
        PlaceholderHash.of(placeholder).hex(),
        value.getBytes(java.nio.charset.StandardCharsets.UTF_8));
  }

  @Override
  public synchronized StreamObserver<SyncAttachmentsRequest> syncAttachments(
      StreamObserver<SyncAttachmentsResponse> out) {
    syncs.add(out);
    streams.incrementAndGet();
    if (!silent) {
      tellAll(out);
    }
    return new StreamObserver<>() {
      @Override
      public void onNext(SyncAttachmentsRequest request) {}

      @Override
      public void onError(Throwable t) {
        syncs.remove(out);
      }

      @Override
      public void onCompleted() {
        syncs.remove(out);
      }
    };
  }

  /** Tells all streams that it has been silent in what it knows. */
  synchronized void speak() {
    silent = false;
    syncs.forEach(this::tellAll);
  }

  private void tellAll(StreamObserver<SyncAttachmentsResponse> out) {
    attachments
        .values()
        .forEach(a -> tell(out, SyncAttachmentsResponse.newBuilder().setAttached(a)));
    tell(
        out,
        SyncAttachmentsResponse.newBuilder()
            .setLease(Lease.newBuilder().setPolicyLease(Duration.newBuilder().setSeconds(600))));
    tell(
        out,
        SyncAttachmentsResponse.newBuilder().setSynchronized(Synchronized.getDefaultInstance()));
  }

  private void tell(
      StreamObserver<SyncAttachmentsResponse> out, SyncAttachmentsResponse.Builder change) {
    out.onNext(change.setSequence(++sequence).build());
  }

  synchronized void put(Attachment attachment) {
    attachments.put(attachment.getSandbox(), attachment);
    syncs.forEach(out -> tell(out, SyncAttachmentsResponse.newBuilder().setUpdated(attachment)));
  }

  /** A request that waits for a word. */
  record Asked(AwaitApprovalRequest request, ServerCallStreamObserver<AwaitApprovalResponse> out) {
    void answer(EgressReason refused) {
      out.onNext(
          AwaitApprovalResponse.newBuilder().setRefused(refused).setApproval("ap-1").build());
      out.onCompleted();
    }
  }

  @Override
  public void awaitApproval(
      AwaitApprovalRequest request, StreamObserver<AwaitApprovalResponse> out) {
    ServerCallStreamObserver<AwaitApprovalResponse> call =
        (ServerCallStreamObserver<AwaitApprovalResponse>) out;
    call.setOnCancelHandler(() -> {});
    asked.add(new Asked(request, call));
  }

  @Override
  public void issueCertificate(
      IssueCertificateRequest request, StreamObserver<IssueCertificateResponse> out) {
    issued.add(request);
    if (signsNothing) {
      out.onError(Status.UNAVAILABLE.asRuntimeException());
      return;
    }
    try {
      byte[] der = lineage.issuer(request.getCertificateRequest().toByteArray()).getEncoded();
      out.onNext(
          IssueCertificateResponse.newBuilder().setCertificate(ByteString.copyFrom(der)).build());
      out.onCompleted();
    } catch (CertificateEncodingException e) {
      out.onError(e);
    }
  }

  @Override
  public void materialize(MaterializeRequest request, StreamObserver<MaterializeResponse> out) {
    if (away) {
      out.onError(Status.UNAVAILABLE.asRuntimeException());
      return;
    }
    if (refusal.isPresent()) {
      out.onError(Refusals.toStatus(refusal.get()));
      return;
    }
    materialised.add(request);
    beforeValues.run();
    MaterializeResponse.Builder response = MaterializeResponse.newBuilder();
    for (PlaceholderUse use : forgetsValues ? List.<PlaceholderUse>of() : request.getUsesList()) {
      byte[] value = values.get(PlaceholderHash.of(use.getPlaceholderSha256().toByteArray()).hex());
      if (value == null) {
        out.onError(Status.NOT_FOUND.asRuntimeException());
        return;
      }
      response.addValues(ByteString.copyFrom(value));
    }
    out.onNext(response.build());
    out.onCompleted();
  }

  @Override
  public StreamObserver<ReportDecisionsRequest> reportDecisions(
      StreamObserver<ReportDecisionsResponse> out) {
    return new StreamObserver<>() {
      @Override
      public void onNext(ReportDecisionsRequest request) {
        if (keepsReports) {
          Stream.concat(Stream.of(request), request.getFollowingList().stream())
              .forEach(report -> {
                reports.add(report);
                events.add(report.getEvent());
                out.onNext(
                    ReportDecisionsResponse.newBuilder().setNumber(report.getNumber()).build());
              });
        }
      }

      @Override
      public void onError(Throwable t) {}

      @Override
      public void onCompleted() {
        out.onCompleted();
      }
    };
  }

  /** The next event that fits; those before it are forgotten. */
  AuditEvent event(Predicate<AuditEvent> wanted) throws InterruptedException {
    while (true) {
      AuditEvent event = events.poll(20, TimeUnit.SECONDS);
      if (event == null) {
        throw new AssertionError("no such event was reported");
      }
      if (wanted.test(event)) {
        return event;
      }
    }
  }

  @Override
  public void close() {
    server.shutdownNow();
  }
}
