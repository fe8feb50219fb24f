package dev.cofferdam.scheduler.api;

import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.scheduler.store.TokenStore;
import dev.cofferdam.scheduler.tenant.Scope;
import dev.cofferdam.scheduler.tenant.TokenRecord;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ListTokensRequest;
import dev.cofferdam.v1.ListTokensResponse;
import dev.cofferdam.v1.RegisterTokenRequest;
import dev.cofferdam.v1.RemoveTokenRequest;
import dev.cofferdam.v1.RemoveTokenResponse;
import dev.cofferdam.v1.Token;
import dev.cofferdam.v1.TokenServiceGrpc;
import io.grpc.stub.StreamObserver;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.EnumSet;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What operators do with tokens. The listener has checked the client certificate. */
public final class TokenApi extends TokenServiceGrpc.TokenServiceImplBase {
  private static final Logger log = LoggerFactory.getLogger(TokenApi.class);
  private static final int SHA256_BYTES = 32;

  private final TokenStore tokens;
  private final InstantSource clock;

  public TokenApi(TokenStore tokens, InstantSource clock) {
    this.tokens = tokens;
    this.clock = clock;
  }

  @Override
  public void registerToken(RegisterTokenRequest request, StreamObserver<Token> observer) {
    if (request.getSha256().size() != SHA256_BYTES) {
      throw invalid(
          "sha256 has %d bytes, expected %d".formatted(request.getSha256().size(), SHA256_BYTES));
    }
    TokenRecord token = record(request);
    switch (tokens.register(token, request.getSha256().toByteArray())) {
      case TokenStore.Registration.Registered registered -> {
        log.atInfo()
            .setMessage("token_registered")
            .addKeyValue("token", token.id())
            .addKeyValue("tenant", token.tenant())
            .addKeyValue("scopes", token.scopeNames())
            .addKeyValue("operator", Callers.peer().identity().instance())
            .log();
        observer.onNext(Wire.token(registered.token()));
        observer.onCompleted();
      }
      case TokenStore.Registration.Taken _ ->
          throw new Refusal(
              ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
              "another token has the id " + token.id() + " or the same hash");
    }
  }

  @Override
  public void listTokens(ListTokensRequest request, StreamObserver<ListTokensResponse> observer) {
    ListTokensResponse.Builder response = ListTokensResponse.newBuilder();
    if (request.getTenant().indexOf('\0') < 0) {
      tokens.list(request.getTenant()).stream().map(Wire::token).forEach(response::addTokens);
    }
    observer.onNext(response.build());
    observer.onCompleted();
  }

  @Override
  public void removeToken(
      RemoveTokenRequest request, StreamObserver<RemoveTokenResponse> observer) {
    if (request.getId().isEmpty() || request.getId().indexOf('\0') >= 0) {
      throw invalid("id is " + Texts.quoted(request.getId()) + ", expected a token's id");
    }
    tokens.remove(request.getId());
    log.atInfo()
        .setMessage("token_removed")
        .addKeyValue("token", Texts.message(request.getId()))
        .addKeyValue("operator", Callers.peer().identity().instance())
        .log();
    observer.onNext(RemoveTokenResponse.getDefaultInstance());
    observer.onCompleted();
  }

  private TokenRecord record(RegisterTokenRequest request) {
    Set<Scope> scopes = EnumSet.noneOf(Scope.class);
    for (String name : request.getScopesList()) {
      scopes.add(
          Scope.of(name)
              .orElseThrow(() -> invalid("scope is " + Texts.quoted(name) + ", not a known one")));
    }
    try {
      return new TokenRecord(
          request.getId(),
          request.getTenant(),
          scopes,
          clock.instant().truncatedTo(ChronoUnit.MICROS));
    } catch (IllegalArgumentException e) {
      throw invalid(Texts.message(String.valueOf(e.getMessage())));
    }
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, message);
  }
}
