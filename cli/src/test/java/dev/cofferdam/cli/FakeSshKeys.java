package dev.cofferdam.cli;

import com.google.protobuf.Timestamp;
import dev.cofferdam.v1.CreateSshKeyRequest;
import dev.cofferdam.v1.DeleteSshKeyRequest;
import dev.cofferdam.v1.DeleteSshKeyResponse;
import dev.cofferdam.v1.ListSshKeysRequest;
import dev.cofferdam.v1.ListSshKeysResponse;
import dev.cofferdam.v1.SshKey;
import dev.cofferdam.v1.SshKeyServiceGrpc;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;

/** Keys for SSH, made at the beginning of time and never looked at. */
final class FakeSshKeys extends SshKeyServiceGrpc.SshKeyServiceImplBase {
  static final String FINGERPRINT = "SHA256:fingerprint";
  static final String TOKEN = "tk-of-who-asks";

  final List<CreateSshKeyRequest> asked = new CopyOnWriteArrayList<>();
  final Map<String, SshKey> keys = new ConcurrentSkipListMap<>();

  /** Of so many creates. */
  final AtomicInteger answersLost = new AtomicInteger();

  @Override
  public void createSshKey(CreateSshKeyRequest request, StreamObserver<SshKey> answer) {
    asked.add(request);
    SshKey key =
        SshKey.newBuilder()
            .setName(request.getName())
            .setPublicKey(request.getPublicKey())
            .setFingerprint(FINGERPRINT)
            .setToken(TOKEN)
            .setCreateTime(Timestamp.getDefaultInstance())
            .build();
    keys.put(key.getName(), key);
    if (answersLost.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
      answer.onError(Status.UNAVAILABLE.withDescription("connection reset").asException());
      return;
    }
    answer.onNext(key);
    answer.onCompleted();
  }

  @Override
  public void listSshKeys(ListSshKeysRequest request, StreamObserver<ListSshKeysResponse> answer) {
    answer.onNext(ListSshKeysResponse.newBuilder().addAllKeys(keys.values()).build());
    answer.onCompleted();
  }

  @Override
  public void deleteSshKey(
      DeleteSshKeyRequest request, StreamObserver<DeleteSshKeyResponse> answer) {
    keys.remove(request.getName());
    answer.onNext(DeleteSshKeyResponse.getDefaultInstance());
    answer.onCompleted();
  }
}
