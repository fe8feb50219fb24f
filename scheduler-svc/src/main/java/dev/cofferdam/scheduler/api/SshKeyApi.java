package dev.cofferdam.scheduler.api;

import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.call.RandomSecrets;
import dev.cofferdam.kit.call.Sha256;
import dev.cofferdam.kit.call.SshSessions;
import dev.cofferdam.kit.call.TokenHashes;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.scheduler.store.SshKeyStore;
import dev.cofferdam.scheduler.tenant.SshKeyRecord;
import dev.cofferdam.scheduler.tenant.SshPublicKey;
import dev.cofferdam.v1.CloseSshSessionRequest;
import dev.cofferdam.v1.CloseSshSessionResponse;
import dev.cofferdam.v1.CreateSshKeyRequest;
import dev.cofferdam.v1.DeleteSshKeyRequest;
import dev.cofferdam.v1.DeleteSshKeyResponse;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ListSshKeysRequest;
import dev.cofferdam.v1.ListSshKeysResponse;
import dev.cofferdam.v1.OpenSshSessionRequest;
import dev.cofferdam.v1.OpenSshSessionResponse;
import dev.cofferdam.v1.SshKey;
import dev.cofferdam.v1.SshKeyServiceGrpc;
import io.grpc.stub.StreamObserver;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keys for SSH, and the sessions that they open. The listener has checked token and scope, but for
 * a session's opening, which a client's own signature is for.
 */
public final class SshKeyApi extends SshKeyServiceGrpc.SshKeyServiceImplBase {
  private static final Logger log = LoggerFactory.getLogger(SshKeyApi.class);
  private static final int MOST = 100;
  private static final int MIN_SESSION_ID = 20;
  private static final int MAX_SESSION_ID = 64;
  private static final Duration LASTS = Duration.ofHours(24);

  private final SshKeyStore keys;
  private final InstantSource clock;
  private final SecureRandom random;

  public SshKeyApi(SshKeyStore keys, InstantSource clock, SecureRandom random) {
    this.keys = keys;
    this.clock = clock;
    this.random = random;
  }

  @Override
  public void createSshKey(CreateSshKeyRequest request, StreamObserver<SshKey> observer) {
    SshKeyRecord key = record(request);
    switch (keys.create(key, MOST)) {
      case SshKeyStore.Outcome.Created created -> {
        log.atInfo()
            .setMessage("ssh_key_created")
            .addKeyValue("key", key.name())
            .addKeyValue("fingerprint", key.key().fingerprint())
            .addKeyValue("tenant", key.tenant())
            .addKeyValue("token", key.token())
            .log();
        observer.onNext(message(created.key()));
        observer.onCompleted();
      }
      case SshKeyStore.Outcome.Taken taken ->
          throw new Refusal(
              ErrorReason.ERROR_REASON_SSH_KEY_EXISTS,
              "key %s is there, %s".formatted(taken.by().name(), taken.by().key().fingerprint()));
      case SshKeyStore.Outcome.OverQuota _ ->
          throw new Refusal(
              ErrorReason.ERROR_REASON_QUOTA_EXCEEDED,
              "tenant %s has as many keys for SSH as it may: %d".formatted(key.tenant(), MOST));
      case SshKeyStore.Outcome.NoToken _ ->
          throw new Refusal(ErrorReason.ERROR_REASON_TOKEN_INVALID, "the token is not known here");
    }
  }

  private SshKeyRecord record(CreateSshKeyRequest request) {
    try {
      return new SshKeyRecord(
          Callers.tenant().tenant(),
          request.getName(),
          Callers.tenant().tokenId(),
          SshPublicKey.parse(request.getPublicKey()),
          clock.instant().truncatedTo(ChronoUnit.MICROS),
          Optional.empty());
    } catch (IllegalArgumentException e) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT, Texts.message(String.valueOf(e.getMessage())));
    }
  }

  @Override
  public void listSshKeys(
      ListSshKeysRequest request, StreamObserver<ListSshKeysResponse> observer) {
    ListSshKeysResponse.Builder response = ListSshKeysResponse.newBuilder();
    keys.list(Callers.tenant().tenant()).stream()
        .map(SshKeyApi::message)
        .forEach(response::addKeys);
    observer.onNext(response.build());
    observer.onCompleted();
  }

  @Override
  public void deleteSshKey(
      DeleteSshKeyRequest request, StreamObserver<DeleteSshKeyResponse> observer) {
    if (!SshKeyRecord.isName(request.getName())) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "name is " + Texts.quoted(request.getName()) + ", expected a key's name");
    }
    keys.remove(Callers.tenant().tenant(), request.getName());
    log.atInfo()
        .setMessage("ssh_key_removed")
        .addKeyValue("key", request.getName())
        .addKeyValue("tenant", Callers.tenant().tenant())
        .addKeyValue("token", Callers.tenant().tokenId())
        .log();
    observer.onNext(DeleteSshKeyResponse.getDefaultInstance());
    observer.onCompleted();
  }

  @Override
  public void openSshSession(
      OpenSshSessionRequest request, StreamObserver<OpenSshSessionResponse> observer) {
    int length = request.getSessionId().size();
    if (!Sandbox.isId(request.getSandbox()) || length < MIN_SESSION_ID || length > MAX_SESSION_ID) {
      throw refused();
    }
    SshPublicKey key;
    try {
      key = new SshPublicKey(request.getPublicKey());
    } catch (IllegalArgumentException e) {
      throw refused();
    }
    byte[] message = key.toBeSigned(request.getSessionId().toByteArray(), request.getSandbox());
    // First what costs no database: whoever has not the key gets no further.
    if (!key.signed(message, request.getSignature().toByteArray())) {
      throw refused();
    }
    String credential = RandomSecrets.next(SshSessions.PREFIX, random);
    String name =
        keys.open(
                key,
                request.getSandbox(),
                Sha256.of(message),
                TokenHashes.sha256(credential),
                LASTS)
            .orElseThrow(SshKeyApi::refused);
    log.atInfo()
        .setMessage("ssh_session_opened")
        .addKeyValue("key", name)
        .addKeyValue("fingerprint", key.fingerprint())
        .addKeyValue("sandbox", request.getSandbox())
        .log();
    observer.onNext(OpenSshSessionResponse.newBuilder().setCredential(credential).build());
    observer.onCompleted();
  }

  /** In the same words, whatever is wrong. */
  private static Refusal refused() {
    return new Refusal(
        ErrorReason.ERROR_REASON_SSH_REFUSED, "no such key of that sandbox's tenant");
  }

  @Override
  public void closeSshSession(
      CloseSshSessionRequest request, StreamObserver<CloseSshSessionResponse> observer) {
    keys.close(TokenHashes.sha256(Callers.token()));
    observer.onNext(CloseSshSessionResponse.getDefaultInstance());
    observer.onCompleted();
  }

  private static SshKey message(SshKeyRecord key) {
    SshKey.Builder message =
        SshKey.newBuilder()
            .setName(key.name())
            .setTenant(key.tenant())
            .setPublicKey(key.key().line())
            .setFingerprint(key.key().fingerprint())
            .setToken(key.token())
            .setCreateTime(Wire.timestamp(key.createTime()));
    key.lastUse().map(Wire::timestamp).ifPresent(message::setLastUseTime);
    return message.build();
  }
}
