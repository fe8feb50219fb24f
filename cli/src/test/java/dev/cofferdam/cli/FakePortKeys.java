package dev.cofferdam.cli;

import com.google.protobuf.Timestamp;
import dev.cofferdam.v1.CreatePortKeyRequest;
import dev.cofferdam.v1.CreatePortKeyResponse;
import dev.cofferdam.v1.DeletePortKeyRequest;
import dev.cofferdam.v1.DeletePortKeyResponse;
import dev.cofferdam.v1.ListPortKeysRequest;
import dev.cofferdam.v1.ListPortKeysResponse;
import dev.cofferdam.v1.PortKey;
import dev.cofferdam.v1.PortKeyServiceGrpc;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CopyOnWriteArrayList;

/** Keys of ports, made at the beginning of time. */
final class FakePortKeys extends PortKeyServiceGrpc.PortKeyServiceImplBase {
  static final String SECRET = "cfk_secret";

  /** Of those that are for everybody. */
  static final String HOST = "aaaaaaaaaaaa-aaaaaaaaaaaaaaaaaaaa";

  final List<CreatePortKeyRequest> asked = new CopyOnWriteArrayList<>();
  private final Map<String, PortKey> keys = new ConcurrentSkipListMap<>();

  @Override
  public void createPortKey(
      CreatePortKeyRequest request, StreamObserver<CreatePortKeyResponse> answer) {
    asked.add(request);
    PortKey.Builder key =
        PortKey.newBuilder()
            .setId("pk-" + asked.size())
            .setSandbox(request.getSandbox())
            .setPort(request.getPort())
            .setPublic(request.getPublic())
            .setHost(request.getPublic() ? HOST : "")
            .setCreateTime(Timestamp.getDefaultInstance());
    if (request.hasLifetime()) {
      key.setExpireTime(Timestamp.newBuilder().setSeconds(request.getLifetime().getSeconds()));
    }
    keys.put(key.getId(), key.build());
    answer.onNext(CreatePortKeyResponse.newBuilder().setKey(key).setSecret(SECRET).build());
    answer.onCompleted();
  }

  @Override
  public void listPortKeys(
      ListPortKeysRequest request, StreamObserver<ListPortKeysResponse> answer) {
    answer.onNext(ListPortKeysResponse.newBuilder().addAllKeys(keys.values()).build());
    answer.onCompleted();
  }

  @Override
  public void deletePortKey(
      DeletePortKeyRequest request, StreamObserver<DeletePortKeyResponse> answer) {
    keys.remove(request.getId());
    answer.onNext(DeletePortKeyResponse.getDefaultInstance());
    answer.onCompleted();
  }
}
