package dev.cofferdam.broker.api;

import static dev.cofferdam.broker.api.Answers.answer;
import static dev.cofferdam.broker.api.Answers.message;

import dev.cofferdam.broker.catalog.ForkMode;
import dev.cofferdam.broker.catalog.Secret;
import dev.cofferdam.broker.catalog.Secrets;
import dev.cofferdam.broker.policy.Binding;
import dev.cofferdam.broker.policy.OAuth;
import dev.cofferdam.broker.policy.PlaceholderShape;
import dev.cofferdam.broker.policy.Policies;
import dev.cofferdam.kit.call.Caller;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.DeleteSecretRequest;
import dev.cofferdam.v1.DeleteSecretResponse;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ListSecretsRequest;
import dev.cofferdam.v1.ListSecretsResponse;
import dev.cofferdam.v1.NarrowSecretRequest;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.RotateSecretRequest;
import dev.cofferdam.v1.SecretBinding;
import dev.cofferdam.v1.SecretServiceGrpc;
import io.grpc.ServerServiceDefinition;
import io.grpc.stub.StreamObserver;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Optional;

/** {@code cofferdam.v1.SecretService}: values go in and never come out. */
final class SecretApi extends SecretServiceGrpc.SecretServiceImplBase {
  private static final int PAGE = 50;

  private final Secrets secrets;

  SecretApi(Secrets secrets) {
    this.secrets = secrets;
  }

  /** With the two methods that take a value bound to off-heap memory. */
  ServerServiceDefinition definition() {
    return HandBound.replace(
        bindService(),
        HandBound.method(
            SecretServiceGrpc.getPutSecretMethod().toBuilder(
                    new ValueRequestMarshaller<>(PutSecretRequest.parser()),
                    SecretServiceGrpc.getPutSecretMethod().getResponseMarshaller())
                .build(),
            this::put),
        HandBound.method(
            SecretServiceGrpc.getRotateSecretMethod().toBuilder(
                    new ValueRequestMarshaller<>(RotateSecretRequest.parser()),
                    SecretServiceGrpc.getRotateSecretMethod().getResponseMarshaller())
                .build(),
            this::rotate));
  }

  private dev.cofferdam.v1.Secret put(ValueRequest<PutSecretRequest> request) {
    Caller.Tenant caller = Callers.tenant();
    PutSecretRequest put = request.message();
    Secrets.Draft draft =
        new Secrets.Draft(
            put.getName(),
            bindings(put.getBindingsList()),
            Limits.of(put.getLimits()),
            put.getWeak(),
            forkMode(put.getForkMode()).orElse(ForkMode.DROP),
            put.hasShape() ? Optional.of(PlaceholderShape.of(put.getShape())) : Optional.empty(),
            put.hasOauth() ? Optional.of(new OAuth(put.getOauth())) : Optional.empty(),
            put.getReplace());
    return message(secrets.put(caller.tenant(), draft, request.value(), caller.tokenId()));
  }

  private dev.cofferdam.v1.Secret rotate(ValueRequest<RotateSecretRequest> request) {
    Caller.Tenant caller = Callers.tenant();
    return message(
        secrets.rotate(
            caller.tenant(),
            request.message().getName(),
            request.message().getEtag(),
            request.value(),
            caller.tokenId()));
  }

  @Override
  public void narrowSecret(
      NarrowSecretRequest request, StreamObserver<dev.cofferdam.v1.Secret> observer) {
    Caller.Tenant caller = Callers.tenant();
    answer(
        observer,
        message(
            secrets.narrow(
                caller.tenant(),
                request.getName(),
                request.getEtag(),
                new Secrets.Narrowing(
                    bindings(request.getBindingsList()),
                    forkMode(request.getForkMode()),
                    request.hasLimits()
                        ? Optional.of(Limits.of(request.getLimits()))
                        : Optional.empty()),
                caller.tokenId())));
  }

  @Override
  public void listSecrets(
      ListSecretsRequest request, StreamObserver<ListSecretsResponse> observer) {
    int size = Answers.pageSize(request.getPageSize(), PAGE);
    List<Secret> page =
        secrets.list(Callers.tenant().tenant(), after(request.getPageToken()), size + 1);
    ListSecretsResponse.Builder answer = ListSecretsResponse.newBuilder();
    page.stream().limit(size).map(Answers::message).forEach(answer::addSecrets);
    if (page.size() > size) {
      answer.setNextPageToken(
          Base64.getUrlEncoder()
              .withoutPadding()
              .encodeToString(page.get(size - 1).name().getBytes(StandardCharsets.UTF_8)));
    }
    answer(observer, answer.build());
  }

  @Override
  public void deleteSecret(
      DeleteSecretRequest request, StreamObserver<DeleteSecretResponse> observer) {
    Caller.Tenant caller = Callers.tenant();
    secrets.delete(caller.tenant(), request.getName(), caller.tokenId());
    answer(observer, DeleteSecretResponse.getDefaultInstance());
  }

  private static List<Binding> bindings(List<SecretBinding> bindings) {
    return bindings.stream().map(Policies::of).toList();
  }

  private static Optional<ForkMode> forkMode(dev.cofferdam.v1.ForkMode mode) {
    return switch (mode) {
      case FORK_MODE_UNSPECIFIED -> Optional.empty();
      case FORK_MODE_DROP -> Optional.of(ForkMode.DROP);
      case FORK_MODE_INHERIT -> Optional.of(ForkMode.INHERIT);
      case UNRECOGNIZED ->
          throw new Refusal(
              ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
              "the fork mode is one that is not known here, expected drop or inherit");
    };
  }

  private static String after(String pageToken) {
    try {
      String name = new String(Base64.getUrlDecoder().decode(pageToken), StandardCharsets.UTF_8);
      if (name.matches("([a-z][a-z0-9-]{0,62})?")) {
        return name;
      }
    } catch (IllegalArgumentException e) {
      // Refused below, as a token that decodes to nonsense is.
    }
    throw new Refusal(
        ErrorReason.ERROR_REASON_PAGE_TOKEN_INVALID, "the page token is not one that a page had");
  }
}
