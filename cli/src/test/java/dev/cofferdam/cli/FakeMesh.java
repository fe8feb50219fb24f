package dev.cofferdam.cli;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.rpc.Code;
import com.google.rpc.ErrorInfo;
import dev.cofferdam.testkit.InProcess;
import dev.cofferdam.v1.AnswerApprovalRequest;
import dev.cofferdam.v1.Approval;
import dev.cofferdam.v1.ApprovalServiceGrpc;
import dev.cofferdam.v1.ApprovalState;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditServiceGrpc;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.CreateSnapshotRequest;
import dev.cofferdam.v1.CreateTemplateRequest;
import dev.cofferdam.v1.CreateVolumeRequest;
import dev.cofferdam.v1.DeleteSandboxRequest;
import dev.cofferdam.v1.DeleteSandboxResponse;
import dev.cofferdam.v1.DeleteSnapshotRequest;
import dev.cofferdam.v1.DeleteSnapshotResponse;
import dev.cofferdam.v1.DeleteTemplateRequest;
import dev.cofferdam.v1.DeleteTemplateResponse;
import dev.cofferdam.v1.DeleteVolumeRequest;
import dev.cofferdam.v1.DeleteVolumeResponse;
import dev.cofferdam.v1.DrainNodeRequest;
import dev.cofferdam.v1.ForkSandboxRequest;
import dev.cofferdam.v1.ForkSandboxResponse;
import dev.cofferdam.v1.GetSandboxRequest;
import dev.cofferdam.v1.GetTemplateRequest;
import dev.cofferdam.v1.ListApprovalsRequest;
import dev.cofferdam.v1.ListApprovalsResponse;
import dev.cofferdam.v1.ListAuditEventsRequest;
import dev.cofferdam.v1.ListAuditEventsResponse;
import dev.cofferdam.v1.ListNodesRequest;
import dev.cofferdam.v1.ListNodesResponse;
import dev.cofferdam.v1.ListSandboxesRequest;
import dev.cofferdam.v1.ListSandboxesResponse;
import dev.cofferdam.v1.ListSecretsRequest;
import dev.cofferdam.v1.ListSecretsResponse;
import dev.cofferdam.v1.ListSnapshotsRequest;
import dev.cofferdam.v1.ListSnapshotsResponse;
import dev.cofferdam.v1.ListTemplatesRequest;
import dev.cofferdam.v1.ListTemplatesResponse;
import dev.cofferdam.v1.ListTokensRequest;
import dev.cofferdam.v1.ListTokensResponse;
import dev.cofferdam.v1.ListVolumesRequest;
import dev.cofferdam.v1.ListVolumesResponse;
import dev.cofferdam.v1.Node;
import dev.cofferdam.v1.NodeServiceGrpc;
import dev.cofferdam.v1.PauseSandboxRequest;
import dev.cofferdam.v1.PolicyProposal;
import dev.cofferdam.v1.ProposePolicyRequest;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.RegisterTokenRequest;
import dev.cofferdam.v1.RemoveTokenRequest;
import dev.cofferdam.v1.RemoveTokenResponse;
import dev.cofferdam.v1.ResumeSandboxRequest;
import dev.cofferdam.v1.RollBackSandboxRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxEvent;
import dev.cofferdam.v1.SandboxServiceGrpc;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.Secret;
import dev.cofferdam.v1.SecretServiceGrpc;
import dev.cofferdam.v1.Snapshot;
import dev.cofferdam.v1.SnapshotServiceGrpc;
import dev.cofferdam.v1.SnapshotState;
import dev.cofferdam.v1.StartReport;
import dev.cofferdam.v1.StartWay;
import dev.cofferdam.v1.SuspendSandboxRequest;
import dev.cofferdam.v1.Template;
import dev.cofferdam.v1.TemplateServiceGrpc;
import dev.cofferdam.v1.TemplateState;
import dev.cofferdam.v1.Token;
import dev.cofferdam.v1.TokenServiceGrpc;
import dev.cofferdam.v1.UndrainNodeRequest;
import dev.cofferdam.v1.UpdateSandboxPolicyRequest;
import dev.cofferdam.v1.Verdict;
import dev.cofferdam.v1.Volume;
import dev.cofferdam.v1.VolumeServiceGrpc;
import dev.cofferdam.v1.WatchApprovalsRequest;
import dev.cofferdam.v1.WatchSandboxEventsRequest;
import io.grpc.Channel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;

/** A mesh in this process: it keeps sandboxes, secrets and tokens, and never forgets a request. */
final class FakeMesh implements Connections {
  final Map<String, CreateSandboxRequest> sandboxes = new LinkedHashMap<>();
  final List<String> deleted = new ArrayList<>();

  /** What was done to which sandbox. */
  final List<String> changes = new ArrayList<>();

  final List<ForkSandboxRequest> forks = new ArrayList<>();
  final Map<String, CreateSnapshotRequest> snapshots = new LinkedHashMap<>();
  final Map<String, CreateTemplateRequest> templates = new LinkedHashMap<>();

  final Map<String, CreateVolumeRequest> volumes = new LinkedHashMap<>();

  /** Of so many creates. */
  final AtomicInteger answersLost = new AtomicInteger();

  /** So many deletes find nobody. */
  final AtomicInteger deletesRefused = new AtomicInteger();

  final Map<String, PutSecretRequest> secrets = new LinkedHashMap<>();
  final List<SandboxEvent> lives = new ArrayList<>();
  final List<AuditEvent> audit = new ArrayList<>();
  PolicyProposal proposal = PolicyProposal.getDefaultInstance();

  final List<AnswerApprovalRequest> answers = new ArrayList<>();

  /** Of the last update of a policy. */
  String etag = "";

  final FakeProcesses processes = new FakeProcesses();
  final FakeFiles files = new FakeFiles();
  final FakePorts ports = new FakePorts();
  final FakePortKeys portKeys = new FakePortKeys();
  final FakeSshKeys sshKeys = new FakeSshKeys();
  final FakeEgress egress = new FakeEgress();
  final Map<String, Node> nodes = new LinkedHashMap<>();
  final Tokens schedulerTokens = new Tokens();
  final Tokens brokerTokens = new Tokens();

  private final InProcess scheduler =
      InProcess.serve(
          new Sandboxes(),
          new Snapshots(),
          new Templates(),
          new Volumes(),
          processes,
          files,
          ports,
          portKeys,
          sshKeys,
          schedulerTokens,
          new Nodes());
  private final InProcess broker =
      InProcess.serve(new Secrets(), new Audit(), new Approvals(), brokerTokens, egress);

  @Override
  public Channel api() {
    return scheduler.channel();
  }

  @Override
  public Channel audit() {
    return broker.channel();
  }

  @Override
  public Channel secrets() {
    return broker.channel();
  }

  @Override
  public Channel operatorApi() {
    return scheduler.channel();
  }

  @Override
  public Channel operatorBroker() {
    return broker.channel();
  }

  /** A command's end is not the mesh's. */
  @Override
  public void close() {}

  void shutDown() {
    scheduler.close();
    broker.close();
  }

  static StatusRuntimeException refusal(Code code, String reason, String message) {
    return StatusProto.toStatusRuntimeException(
        com.google.rpc.Status.newBuilder()
            .setCode(code.getNumber())
            .setMessage(message)
            .addDetails(
                Any.pack(ErrorInfo.newBuilder().setDomain("cofferdam").setReason(reason).build()))
            .build());
  }

  private static StartReport.Builder started(StartWay way, int nanos) {
    return StartReport.newBuilder()
        .setWay(way)
        .setDuration(com.google.protobuf.Duration.newBuilder().setNanos(nanos));
  }

  private static <T> void answer(StreamObserver<T> to, T message) {
    to.onNext(message);
    to.onCompleted();
  }

  private final class Sandboxes extends SandboxServiceGrpc.SandboxServiceImplBase {
    @Override
    public void createSandbox(CreateSandboxRequest request, StreamObserver<Sandbox> answer) {
      if (request.getTemplate().equals("unknown")) {
        answer.onError(
            refusal(Code.NOT_FOUND, "TEMPLATE_NOT_FOUND", "no template 'unknown'\nat all"));
        return;
      }
      String id =
          sandboxes.entrySet().stream()
              .filter(known -> known.getValue().equals(request))
              .map(Map.Entry::getKey)
              .findAny()
              .orElseGet(() -> "sb-" + "a".repeat(19) + (char) ('a' + sandboxes.size()));
      sandboxes.put(id, request);
      if (answersLost.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
        answer.onError(Status.UNAVAILABLE.withDescription("connection reset").asException());
        return;
      }
      answer(
          answer,
          Sandbox.newBuilder()
              .setId(id)
              .setStart(started(StartWay.START_WAY_BOOTED, 312_400_000))
              .build());
    }

    @Override
    public void listSandboxes(
        ListSandboxesRequest request, StreamObserver<ListSandboxesResponse> answer) {
      List<String> ids = List.copyOf(sandboxes.keySet());
      int at = request.getPageToken().isEmpty() ? 0 : Integer.parseInt(request.getPageToken());
      answer(
          answer,
          ListSandboxesResponse.newBuilder()
              .addSandboxes(
                  Sandbox.newBuilder()
                      .setId(ids.get(at))
                      .setState(SandboxState.SANDBOX_STATE_SUSPENDED)
                      .setStart(started(StartWay.START_WAY_POOLED, 21_900_000))
                      .setIsolation("emulated"))
              .setNextPageToken(at + 1 < ids.size() ? Integer.toString(at + 1) : "")
              .build());
    }

    @Override
    public void getSandbox(GetSandboxRequest request, StreamObserver<Sandbox> answer) {
      answer(answer, policy(request.getSandbox()).build());
    }

    @Override
    public void updateSandboxPolicy(
        UpdateSandboxPolicyRequest request, StreamObserver<Sandbox> answer) {
      sandboxes.computeIfPresent(
          request.getSandbox(),
          (_, created) -> created.toBuilder().setEgressPolicy(request.getEgressPolicy()).build());
      etag = request.getEtag();
      answer(answer, policy(request.getSandbox()).setPolicyRevision(2).build());
    }

    private Sandbox.Builder policy(String sandbox) {
      CreateSandboxRequest created = Objects.requireNonNull(sandboxes.get(sandbox));
      return Sandbox.newBuilder()
          .setId(sandbox)
          .setEtag("etag-of-" + sandbox)
          .setPolicyRevision(1)
          .setEgressPolicy(created.getEgressPolicy());
    }

    @Override
    public void pauseSandbox(PauseSandboxRequest request, StreamObserver<Sandbox> answer) {
      changed("pause", request.getSandbox(), answer);
    }

    @Override
    public void resumeSandbox(ResumeSandboxRequest request, StreamObserver<Sandbox> answer) {
      changed("resume", request.getSandbox(), answer);
    }

    @Override
    public void suspendSandbox(SuspendSandboxRequest request, StreamObserver<Sandbox> answer) {
      changed("suspend", request.getSandbox(), answer);
    }

    @Override
    public void rollBackSandbox(RollBackSandboxRequest request, StreamObserver<Sandbox> answer) {
      changed("roll back to " + request.getSnapshot(), request.getSandbox(), answer);
    }

    private void changed(String what, String sandbox, StreamObserver<Sandbox> answer) {
      if (!sandboxes.containsKey(sandbox)) {
        answer.onError(refusal(Code.NOT_FOUND, "SANDBOX_NOT_FOUND", "no sandbox " + sandbox));
        return;
      }
      changes.add(what + " " + sandbox);
      answer(answer, Sandbox.newBuilder().setId(sandbox).build());
    }

    @Override
    public void forkSandbox(
        ForkSandboxRequest request, StreamObserver<ForkSandboxResponse> answer) {
      boolean again = forks.contains(request);
      forks.add(request);
      if (answersLost.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
        answer.onError(Status.UNAVAILABLE.withDescription("connection reset").asException());
        return;
      }
      ForkSandboxResponse.Builder copies = ForkSandboxResponse.newBuilder();
      for (int i = 0; i < request.getCount(); i++) {
        copies.addSandboxes(Sandbox.newBuilder().setId((again ? "known-" : "new-") + i));
      }
      answer(answer, copies.build());
    }

    @Override
    public void deleteSandbox(
        DeleteSandboxRequest request, StreamObserver<DeleteSandboxResponse> answer) {
      if (deletesRefused.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
        answer.onError(Status.UNAVAILABLE.withDescription("no scheduler").asException());
        return;
      }
      deleted.add(request.getSandbox());
      answer(answer, DeleteSandboxResponse.getDefaultInstance());
    }

    @Override
    public void watchSandboxEvents(
        WatchSandboxEventsRequest request, StreamObserver<SandboxEvent> answer) {
      lives.forEach(answer::onNext);
      answer.onCompleted();
    }
  }

  /** Its first look at one finds it half made. */
  private final class Templates extends TemplateServiceGrpc.TemplateServiceImplBase {
    @Override
    public void createTemplate(CreateTemplateRequest request, StreamObserver<Template> answer) {
      templates.put(request.getName(), request);
      answer(answer, template(request, TemplateState.TEMPLATE_STATE_MAKING));
    }

    @Override
    public void getTemplate(GetTemplateRequest request, StreamObserver<Template> answer) {
      CreateTemplateRequest made = Objects.requireNonNull(templates.get(request.getName()));
      if (!request.getWait()) {
        throw new IllegalStateException("asked again and again");
      }
      answer(
          answer,
          template(
              made,
              made.getSource().getFile().equals("bad.tar")
                  ? TemplateState.TEMPLATE_STATE_FAILED
                  : TemplateState.TEMPLATE_STATE_READY));
    }

    @Override
    public void listTemplates(
        ListTemplatesRequest request, StreamObserver<ListTemplatesResponse> answer) {
      ListTemplatesResponse.Builder response = ListTemplatesResponse.newBuilder();
      templates
          .values()
          .forEach(
              made -> response.addTemplates(template(made, TemplateState.TEMPLATE_STATE_READY)));
      answer(answer, response.build());
    }

    @Override
    public void deleteTemplate(
        DeleteTemplateRequest request, StreamObserver<DeleteTemplateResponse> answer) {
      templates.remove(request.getName());
      answer(answer, DeleteTemplateResponse.getDefaultInstance());
    }

    private static Template template(CreateTemplateRequest made, TemplateState state) {
      return Template.newBuilder()
          .setName(made.getName())
          .setTenant("default")
          .setSource(made.getSource())
          .setState(state)
          .setDigest("sha256:abc")
          .setMessage(state == TemplateState.TEMPLATE_STATE_FAILED ? "no image" : "")
          .build();
    }
  }

  private final class Snapshots extends SnapshotServiceGrpc.SnapshotServiceImplBase {
    @Override
    public void createSnapshot(CreateSnapshotRequest request, StreamObserver<Snapshot> answer) {
      String id = "sn-" + "a".repeat(19) + (char) ('a' + snapshots.size());
      snapshots.put(id, request);
      answer(answer, Snapshot.newBuilder().setId(id).build());
    }

    @Override
    public void listSnapshots(
        ListSnapshotsRequest request, StreamObserver<ListSnapshotsResponse> answer) {
      List<String> ids = List.copyOf(snapshots.keySet());
      int at = request.getPageToken().isEmpty() ? 0 : Integer.parseInt(request.getPageToken());
      String id = ids.get(at);
      answer(
          answer,
          ListSnapshotsResponse.newBuilder()
              .addSnapshots(
                  Snapshot.newBuilder()
                      .setId(id)
                      .setSandbox(the(id).getSandbox())
                      .setKind(the(id).getKind())
                      .setState(SnapshotState.SNAPSHOT_STATE_READY)
                      .setBytes(5 << 20)
                      .putAllLabels(the(id).getLabelsMap()))
              .setNextPageToken(at + 1 < ids.size() ? Integer.toString(at + 1) : "")
              .build());
    }

    @Override
    public void deleteSnapshot(
        DeleteSnapshotRequest request, StreamObserver<DeleteSnapshotResponse> answer) {
      snapshots.remove(request.getSnapshot());
      answer(answer, DeleteSnapshotResponse.getDefaultInstance());
    }

    private CreateSnapshotRequest the(String id) {
      return Objects.requireNonNull(snapshots.get(id));
    }
  }

  private final class Volumes extends VolumeServiceGrpc.VolumeServiceImplBase {
    @Override
    public void createVolume(CreateVolumeRequest request, StreamObserver<Volume> answer) {
      volumes.put(request.getName(), request);
      if (answersLost.getAndDecrement() > 0) {
        answer.onError(Status.UNAVAILABLE.asRuntimeException());
        return;
      }
      answer(answer, Volume.newBuilder().setName(request.getName()).build());
    }

    @Override
    public void listVolumes(
        ListVolumesRequest request, StreamObserver<ListVolumesResponse> answer) {
      List<String> names = List.copyOf(volumes.keySet());
      int at = request.getPageToken().isEmpty() ? 0 : Integer.parseInt(request.getPageToken());
      CreateVolumeRequest made = Objects.requireNonNull(volumes.get(names.get(at)));
      answer(
          answer,
          ListVolumesResponse.newBuilder()
              .addVolumes(
                  Volume.newBuilder()
                      .setName(made.getName())
                      .setSizeMib(made.getSizeMib())
                      .setSource(made.getSource())
                      .setSandbox("sb-has-it")
                      .setNode("n1"))
              .setNextPageToken(at + 1 < names.size() ? Integer.toString(at + 1) : "")
              .build());
    }

    @Override
    public void deleteVolume(
        DeleteVolumeRequest request, StreamObserver<DeleteVolumeResponse> answer) {
      volumes.remove(request.getName());
      answer(answer, DeleteVolumeResponse.getDefaultInstance());
    }
  }

  private final class Secrets extends SecretServiceGrpc.SecretServiceImplBase {
    @Override
    public void putSecret(PutSecretRequest request, StreamObserver<Secret> answer) {
      // A copy, as a network makes one: the client wipes what it sent.
      secrets.put(
          request.getName(),
          request.toBuilder()
              .setValue(ByteString.copyFrom(request.getValue().toByteArray()))
              .build());
      answer(answer, Secret.newBuilder().setName(request.getName()).setVersion(1).build());
    }

    @Override
    public void listSecrets(
        ListSecretsRequest request, StreamObserver<ListSecretsResponse> answer) {
      ListSecretsResponse.Builder page = ListSecretsResponse.newBuilder();
      for (PutSecretRequest put : secrets.values()) {
        page.addSecrets(
            Secret.newBuilder()
                .setName(put.getName())
                .setVersion(1)
                .setForkMode(put.getForkMode())
                .setLimits(put.getLimits())
                .setOauth(put.getOauth())
                .addAllBindings(put.getBindingsList()));
      }
      answer(answer, page.build());
    }
  }

  private final class Approvals extends ApprovalServiceGrpc.ApprovalServiceImplBase {
    private Approval waiting(ApprovalState state) {
      return Approval.newBuilder()
          .setId("ap-1")
          .setSandbox("sb-1")
          .setState(state)
          .setHost("api.example.com")
          .setPort(443)
          .setTls(true)
          .setMethod("DELETE")
          .setPath("/a\u001b[2J b")
          .setBodyBytes(17)
          .addSecrets("api-key")
          .build();
    }

    @Override
    public void listApprovals(
        ListApprovalsRequest request, StreamObserver<ListApprovalsResponse> answer) {
      answer(
          answer,
          ListApprovalsResponse.newBuilder()
              .addApprovals(waiting(ApprovalState.APPROVAL_STATE_WAITING))
              .build());
    }

    @Override
    public void watchApprovals(WatchApprovalsRequest request, StreamObserver<Approval> answer) {
      answer.onNext(waiting(ApprovalState.APPROVAL_STATE_WAITING));
      answer.onNext(waiting(ApprovalState.APPROVAL_STATE_LAPSED));
      answer.onCompleted();
    }

    @Override
    public void answerApproval(AnswerApprovalRequest request, StreamObserver<Approval> answer) {
      answers.add(request);
      answer(
          answer,
          waiting(
              request.getApprove()
                  ? ApprovalState.APPROVAL_STATE_APPROVED
                  : ApprovalState.APPROVAL_STATE_DENIED));
    }
  }

  private final class Audit extends AuditServiceGrpc.AuditServiceImplBase {
    @Override
    public void proposePolicy(ProposePolicyRequest request, StreamObserver<PolicyProposal> answer) {
      answer(answer, proposal);
    }

    @Override
    public void listAuditEvents(
        ListAuditEventsRequest request, StreamObserver<ListAuditEventsResponse> answer) {
      int at = request.getCursor().isEmpty() ? 0 : Integer.parseInt(request.getCursor());
      ListAuditEventsResponse.Builder page = ListAuditEventsResponse.newBuilder();
      boolean wanted =
          at < audit.size()
              && (request.getVerdict() == Verdict.VERDICT_UNSPECIFIED
                  || request.getVerdict() == audit.get(at).getVerdict());
      if (wanted) {
        page.addEvents(audit.get(at));
      }
      if (at + 1 < audit.size()) {
        page.setNextCursor(Integer.toString(at + 1));
      }
      answer(answer, page.build());
    }
  }

  /** One service's register of tokens. */
  private final class Nodes extends NodeServiceGrpc.NodeServiceImplBase {
    @Override
    public void listNodes(ListNodesRequest request, StreamObserver<ListNodesResponse> answer) {
      answer(answer, ListNodesResponse.newBuilder().addAllNodes(nodes.values()).build());
    }

    @Override
    public void drainNode(DrainNodeRequest request, StreamObserver<Node> answer) {
      drain(request.getNode(), true, answer);
    }

    @Override
    public void undrainNode(UndrainNodeRequest request, StreamObserver<Node> answer) {
      drain(request.getNode(), false, answer);
    }

    private void drain(String name, boolean draining, StreamObserver<Node> answer) {
      Node known = nodes.get(name);
      if (known == null) {
        answer.onError(refusal(Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", "no node " + name));
        return;
      }
      nodes.put(name, known.toBuilder().setDraining(draining).build());
      answer(answer, nodes.get(name));
    }
  }

  static final class Tokens extends TokenServiceGrpc.TokenServiceImplBase {
    final Map<String, RegisterTokenRequest> known = new LinkedHashMap<>();
    boolean refusing;

    @Override
    public void registerToken(RegisterTokenRequest request, StreamObserver<Token> answer) {
      if (refusing) {
        answer.onError(refusal(Code.UNAVAILABLE, "DATABASE_UNAVAILABLE", "no database"));
        return;
      }
      known.put(request.getId(), request);
      answer(answer, Token.newBuilder().setId(request.getId()).build());
    }

    @Override
    public void listTokens(ListTokensRequest request, StreamObserver<ListTokensResponse> answer) {
      ListTokensResponse.Builder tokens = ListTokensResponse.newBuilder();
      known
          .values()
          .forEach(token ->
              tokens.addTokens(
                  Token.newBuilder()
                      .setId(token.getId())
                      .setTenant(token.getTenant())
                      .addAllScopes(token.getScopesList())));
      answer(answer, tokens.build());
    }

    @Override
    public void removeToken(
        RemoveTokenRequest request, StreamObserver<RemoveTokenResponse> answer) {
      known.remove(request.getId());
      answer(answer, RemoveTokenResponse.getDefaultInstance());
    }
  }
}
