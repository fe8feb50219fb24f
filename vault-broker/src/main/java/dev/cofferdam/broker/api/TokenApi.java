package dev.cofferdam.broker.api;

import static dev.cofferdam.broker.api.Answers.answer;

import dev.cofferdam.broker.tenant.Tokens;
import dev.cofferdam.v1.ListTokensRequest;
import dev.cofferdam.v1.ListTokensResponse;
import dev.cofferdam.v1.RegisterTokenRequest;
import dev.cofferdam.v1.RemoveTokenRequest;
import dev.cofferdam.v1.RemoveTokenResponse;
import dev.cofferdam.v1.Token;
import dev.cofferdam.v1.TokenServiceGrpc;
import io.grpc.stub.StreamObserver;
import java.util.Optional;

/** {@code cofferdam.v1.TokenService}, for operators. */
final class TokenApi extends TokenServiceGrpc.TokenServiceImplBase {
  private final Tokens tokens;

  TokenApi(Tokens tokens) {
    this.tokens = tokens;
  }

  @Override
  public void registerToken(RegisterTokenRequest request, StreamObserver<Token> observer) {
    answer(
        observer,
        Answers.message(
            tokens.register(
                request.getId(),
                request.getTenant(),
                request.getScopesList(),
                request.getSha256().toByteArray())));
  }

  @Override
  public void listTokens(ListTokensRequest request, StreamObserver<ListTokensResponse> observer) {
    answer(
        observer,
        ListTokensResponse.newBuilder()
            .addAllTokens(
                tokens
                    .list(Optional.of(request.getTenant()).filter(name -> !name.isEmpty()))
                    .stream()
                    .map(Answers::message)
                    .toList())
            .build());
  }

  @Override
  public void removeToken(
      RemoveTokenRequest request, StreamObserver<RemoveTokenResponse> observer) {
    tokens.remove(request.getId());
    answer(observer, RemoveTokenResponse.getDefaultInstance());
  }
}
