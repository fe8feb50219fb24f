package dev.cofferdam.scheduler;

import dev.cofferdam.internal.v1.CreateGrantsRequest;
import dev.cofferdam.internal.v1.CreateGrantsResponse;
import dev.cofferdam.internal.v1.GetPolicyRequest;
import dev.cofferdam.internal.v1.GetPolicyResponse;
import dev.cofferdam.internal.v1.GrantServiceGrpc;
import dev.cofferdam.internal.v1.IssueTicketRequest;
import dev.cofferdam.internal.v1.IssueTicketResponse;
import dev.cofferdam.internal.v1.Placeholder;
import dev.cofferdam.internal.v1.RevokeGrantsRequest;
import dev.cofferdam.internal.v1.RevokeGrantsResponse;
import dev.cofferdam.internal.v1.SuspendGrantsRequest;
import dev.cofferdam.internal.v1.SuspendGrantsResponse;
import dev.cofferdam.internal.v1.UpdatePolicyRequest;
import dev.cofferdam.internal.v1.UpdatePolicyResponse;
import dev.cofferdam.kit.call.CallRules;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SecretReference;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;

/** A broker that knows one secret, {@code api-key}, and remembers what it granted. */
final class FakeBroker extends GrantServiceGrpc.GrantServiceImplBase {
  static final String SECRET = "api-key";

  /** Runs before a call does anything, with the method's name; may throw or block. */
  interface Hook {
    void before(String method);
  }

  volatile Hook hook = _ -> {};
  final List<String> calls = new CopyOnWriteArrayList<>();
  final List<String> tokens = new CopyOnWriteArrayList<>();
  final List<CreateGrantsRequest> grants = new CopyOnWriteArrayList<>();
  final Set<String> granted = ConcurrentHashMap.newKeySet();
  final Set<String> revoked = ConcurrentHashMap.newKeySet();

  /** Nodes. */
  final Set<String> suspended = ConcurrentHashMap.newKeySet();

  final Set<String> asked = ConcurrentHashMap.newKeySet();
  private final Map<String, GetPolicyResponse> policies = new ConcurrentHashMap<>();
  private final AtomicLong revision = new AtomicLong();

  static CallRules rules() {
    CallRules.Builder rules = CallRules.builder();
    GrantServiceGrpc.getServiceDescriptor()
        .getMethods()
        .forEach(method -> rules.peers(method, "scheduler-svc"));
    return rules.build();
  }

  @Override
  public void createGrants(
      CreateGrantsRequest request, StreamObserver<CreateGrantsResponse> observer) {
    enter("CreateGrants");
    tokens.add(Callers.token());
    grants.add(request);
    granted.add(request.getSandbox());
    for (SecretReference secret : request.getSecretsList()) {
      if (!secret.getSecret().equals(SECRET)) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_SECRET_NOT_FOUND, "no secret " + secret.getSecret());
      }
    }
    CreateGrantsResponse.Builder response =
        CreateGrantsResponse.newBuilder()
            .setAttachTicket("ticket-" + request.getSandbox())
            .setCaCertificate("-----BEGIN CERTIFICATE-----")
            .setPolicyRevision(revision.incrementAndGet())
            .setGeneration(1);
    request
        .getSecretsList()
        .forEach(secret ->
            response.addPlaceholders(
                Placeholder.newBuilder()
                    .setEnv(secret.getEnv())
                    .setPlaceholder("placeholder-" + request.getSandbox())));
    answer(observer, response.build());
  }

  @Override
  public void updatePolicy(
      UpdatePolicyRequest request, StreamObserver<UpdatePolicyResponse> observer) {
    enter("UpdatePolicy");
    tokens.add(Callers.token());
    if (request.getPolicy().getRulesList().stream()
        .anyMatch(rule -> rule.getHost().equals("*.com"))) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_HOST_PATTERN_INVALID,
          "host is '*.com', a wildcard on a public suffix",
          Map.of("host", "*.com"));
    }
    long next = revision.incrementAndGet();
    policies.put(
        request.getSandbox(),
        GetPolicyResponse.newBuilder()
            .setPolicy(request.getPolicy())
            .setPolicyRevision(next)
            .build());
    hook.before("UpdatePolicy, done");
    answer(observer, UpdatePolicyResponse.newBuilder().setPolicyRevision(next).build());
  }

  @Override
  public void getPolicy(GetPolicyRequest request, StreamObserver<GetPolicyResponse> observer) {
    enter("GetPolicy");
    asked.add(request.getSandbox());
    answer(
        observer,
        policies.getOrDefault(request.getSandbox(), GetPolicyResponse.getDefaultInstance()));
  }

  @Override
  public void issueTicket(
      IssueTicketRequest request, StreamObserver<IssueTicketResponse> observer) {
    enter("IssueTicket");
    answer(observer, IssueTicketResponse.getDefaultInstance());
  }

  @Override
  public void revokeGrants(
      RevokeGrantsRequest request, StreamObserver<RevokeGrantsResponse> observer) {
    enter("RevokeGrants");
    revoked.add(request.getSandbox());
    granted.remove(request.getSandbox());
    answer(observer, RevokeGrantsResponse.getDefaultInstance());
  }

  @Override
  public void suspendGrants(
      SuspendGrantsRequest request, StreamObserver<SuspendGrantsResponse> observer) {
    enter("SuspendGrants");
    if (request.getSuspended()) {
      suspended.add(request.getNode());
    } else {
      suspended.remove(request.getNode());
    }
    hook.before("SuspendGrants, done");
    answer(observer, SuspendGrantsResponse.getDefaultInstance());
  }

  /** Of the last update. */
  long revision(String sandbox) {
    return policies
        .getOrDefault(sandbox, GetPolicyResponse.getDefaultInstance())
        .getPolicyRevision();
  }

  private void enter(String method) {
    calls.add(method);
    hook.before(method);
  }

  private static <T> void answer(StreamObserver<T> observer, T response) {
    observer.onNext(response);
    observer.onCompleted();
  }
}
