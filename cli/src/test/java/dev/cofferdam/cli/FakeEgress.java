package dev.cofferdam.cli;

import dev.cofferdam.v1.CreateEgressSessionRequest;
import dev.cofferdam.v1.CreateEgressSessionResponse;
import dev.cofferdam.v1.DeleteEgressSessionRequest;
import dev.cofferdam.v1.DeleteEgressSessionResponse;
import dev.cofferdam.v1.EgressProxy;
import dev.cofferdam.v1.EgressSession;
import dev.cofferdam.v1.EgressSessionServiceGrpc;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** Sessions, whose proxy is where a test says. */
final class FakeEgress extends EgressSessionServiceGrpc.EgressSessionServiceImplBase {
  static final String TOKEN = "cfp_token";

  final List<CreateEgressSessionRequest> created = new CopyOnWriteArrayList<>();
  final List<String> deleted = new CopyOnWriteArrayList<>();
  volatile String root = "the session's root\n";
  volatile EgressProxy proxy = EgressProxy.newBuilder().setAddress("127.0.0.1:1").build();

  @Override
  public void createEgressSession(
      CreateEgressSessionRequest request, StreamObserver<CreateEgressSessionResponse> answer) {
    created.add(request);
    answer.onNext(
        CreateEgressSessionResponse.newBuilder()
            .setSession(EgressSession.newBuilder().setId("es-1"))
            .putPlaceholders("API_KEY", "cofferdam_placeholder")
            .setProxyToken(TOKEN)
            .setCaCertificate(root)
            .addProxies(proxy)
            .build());
    answer.onCompleted();
  }

  @Override
  public void deleteEgressSession(
      DeleteEgressSessionRequest request, StreamObserver<DeleteEgressSessionResponse> answer) {
    deleted.add(request.getSession());
    answer.onNext(DeleteEgressSessionResponse.getDefaultInstance());
    answer.onCompleted();
  }
}
