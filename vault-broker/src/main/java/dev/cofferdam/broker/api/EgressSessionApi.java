package dev.cofferdam.broker.api;

import static dev.cofferdam.broker.api.Answers.answer;

import dev.cofferdam.broker.audit.AuditTexts;
import dev.cofferdam.broker.grant.SandboxGrants;
import dev.cofferdam.broker.grant.Sessions;
import dev.cofferdam.broker.tenant.Token;
import dev.cofferdam.kit.call.Caller;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.CreateEgressSessionRequest;
import dev.cofferdam.v1.CreateEgressSessionResponse;
import dev.cofferdam.v1.DeleteEgressSessionRequest;
import dev.cofferdam.v1.DeleteEgressSessionResponse;
import dev.cofferdam.v1.EgressProxy;
import dev.cofferdam.v1.EgressSession;
import dev.cofferdam.v1.EgressSessionServiceGrpc;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ExtendEgressSessionRequest;
import io.grpc.stub.StreamObserver;
import java.time.Duration;

/** {@code cofferdam.v1.EgressSessionService}, for tenants. */
final class EgressSessionApi extends EgressSessionServiceGrpc.EgressSessionServiceImplBase {
  private static final Duration LIFETIME = Duration.ofHours(1);

  private final Sessions sessions;

  EgressSessionApi(Sessions sessions) {
    this.sessions = sessions;
  }

  @Override
  public void createEgressSession(
      CreateEgressSessionRequest request, StreamObserver<CreateEgressSessionResponse> observer) {
    Caller.Tenant tenant = Callers.tenant();
    if (request.getSecretsCount() > 0 && !tenant.scopes().contains(Token.SECRETS_USE)) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_SCOPE_MISSING,
          "secrets need the scope %s; token %s has %s"
              .formatted(
                  Token.SECRETS_USE, tenant.tokenId(), tenant.scopes().stream().sorted().toList()));
    }
    try {
      Sessions.Created created =
          sessions.create(
              tenant.tenant(),
              request.getSecretsList().stream().map(SandboxGrants.Wish::of).toList(),
              request.getEgressPolicy(),
              request.hasLifetime() ? lifetime(request.getLifetime()) : LIFETIME);
      CreateEgressSessionResponse.Builder answer =
          CreateEgressSessionResponse.newBuilder()
              .setSession(message(created.term()))
              .putAllPlaceholders(created.placeholders())
              .setProxyToken(created.token())
              .setCaCertificate(created.rootCertificate());
      created
          .proxies()
          .forEach(proxy ->
              answer.addProxies(
                  EgressProxy.newBuilder().setAddress(proxy.address()).setTls(proxy.tls())));
      answer(observer, answer.build());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Refusal(ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE, "the broker stops");
    }
  }

  @Override
  public void extendEgressSession(
      ExtendEgressSessionRequest request, StreamObserver<EgressSession> observer) {
    answer(
        observer,
        message(
            sessions.extend(
                Callers.tenant().tenant(),
                request.getSession(),
                request.hasLifetime() ? lifetime(request.getLifetime()) : LIFETIME)));
  }

  @Override
  public void deleteEgressSession(
      DeleteEgressSessionRequest request, StreamObserver<DeleteEgressSessionResponse> observer) {
    sessions.delete(Callers.tenant().tenant(), request.getSession());
    answer(observer, DeleteEgressSessionResponse.getDefaultInstance());
  }

  private static Duration lifetime(com.google.protobuf.Duration lifetime) {
    return Duration.ofSeconds(lifetime.getSeconds(), lifetime.getNanos());
  }

  private static EgressSession message(Sessions.Term term) {
    return EgressSession.newBuilder()
        .setId(term.id())
        .setCreateTime(AuditTexts.timestamp(term.created()))
        .setExpireTime(AuditTexts.timestamp(term.expires()))
        .build();
  }
}
