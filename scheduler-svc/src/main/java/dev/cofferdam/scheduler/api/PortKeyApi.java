package dev.cofferdam.scheduler.api;

import com.google.protobuf.Duration;
import dev.cofferdam.kit.call.Caller;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.call.ExposedHost;
import dev.cofferdam.kit.call.PortKeys;
import dev.cofferdam.kit.call.RandomSecrets;
import dev.cofferdam.kit.call.TokenHashes;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.scheduler.store.PortKeyStore;
import dev.cofferdam.scheduler.tenant.PortKeyRecord;
import dev.cofferdam.v1.CheckPortKeyRequest;
import dev.cofferdam.v1.CreatePortKeyRequest;
import dev.cofferdam.v1.CreatePortKeyResponse;
import dev.cofferdam.v1.DeletePortKeyRequest;
import dev.cofferdam.v1.DeletePortKeyResponse;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ListPortKeysRequest;
import dev.cofferdam.v1.ListPortKeysResponse;
import dev.cofferdam.v1.PortKey;
import dev.cofferdam.v1.PortKeyServiceGrpc;
import io.grpc.stub.StreamObserver;
import java.security.SecureRandom;
import java.time.Instant;
import java.time.InstantSource;
import java.time.temporal.ChronoUnit;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What tenants do with keys for ports. The listener has checked token and scope. */
public final class PortKeyApi extends PortKeyServiceGrpc.PortKeyServiceImplBase {
  private static final Logger log = LoggerFactory.getLogger(PortKeyApi.class);
  private static final int MOST = 100;
  private static final long LONGEST_SECONDS = 365L * 24 * 3600;

  private final PortKeyStore keys;
  private final InstantSource clock;
  private final SecureRandom random;

  public PortKeyApi(PortKeyStore keys, InstantSource clock, SecureRandom random) {
    this.keys = keys;
    this.clock = clock;
    this.random = random;
  }

  @Override
  public void createPortKey(
      CreatePortKeyRequest request, StreamObserver<CreatePortKeyResponse> observer) {
    PortKeyRecord key = record(request);
    String secret =
        key.everybodys() ? everybodys(key) : RandomSecrets.next(PortKeys.PREFIX, random);
    switch (keys.create(key, TokenHashes.sha256(secret), MOST)) {
      case PortKeyStore.Outcome.Created created -> {
        log.atInfo()
            .setMessage("port_key_created")
            .addKeyValue("key", created.key().id())
            .addKeyValue("sandbox", key.sandbox())
            .addKeyValue("port", key.port())
            .addKeyValue("public", key.everybodys())
            .addKeyValue("host", key.host().map(ExposedHost::label).orElse(""))
            .addKeyValue("token", Callers.tenant().tokenId())
            .log();
        observer.onNext(
            CreatePortKeyResponse.newBuilder()
                .setKey(message(created.key()))
                .setSecret(secret)
                .build());
        observer.onCompleted();
      }
      case PortKeyStore.Outcome.NoSandbox _ ->
          throw new Refusal(
              ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND,
              "no sandbox " + Texts.quoted(key.sandbox()) + " of tenant " + key.tenant());
      case PortKeyStore.Outcome.HostTaken taken ->
          throw new Refusal(
              ErrorReason.ERROR_REASON_HOST_TAKEN,
              "%s stands for port %d already, expected a host that stands for none"
                  .formatted(key.host().orElseThrow().label(), taken.port()));
      case PortKeyStore.Outcome.OverQuota _ ->
          throw new Refusal(
              ErrorReason.ERROR_REASON_QUOTA_EXCEEDED,
              key.sandbox() + " has as many keys for its ports as it may: " + MOST);
    }
  }

  private static String everybodys(PortKeyRecord key) {
    return key.host()
        .map(ExposedHost::key)
        .orElseGet(() -> PortKeys.ofEverybody(key.sandbox(), key.port()));
  }

  private PortKeyRecord record(CreatePortKeyRequest request) {
    if (request.getSandbox().indexOf('\0') >= 0) {
      throw invalid("sandbox is " + Texts.quoted(request.getSandbox()) + ", expected its id");
    }
    Instant now = clock.instant().truncatedTo(ChronoUnit.MICROS);
    Optional<Instant> end = Optional.empty();
    if (request.hasLifetime()) {
      Duration lifetime = request.getLifetime();
      if (lifetime.getSeconds() < 1 || lifetime.getSeconds() > LONGEST_SECONDS) {
        throw invalid("lifetime is out of range, expected 1 s to 365 days");
      }
      end = Optional.of(now.plusSeconds(lifetime.getSeconds()));
    }
    try {
      return new PortKeyRecord(
          PortKeyRecord.newId(random),
          Callers.tenant().tenant(),
          request.getSandbox(),
          request.getPort(),
          request.getPublic(),
          now,
          end,
          request.getHost().isEmpty()
              ? Optional.empty()
              : Optional.of(new ExposedHost(request.getHost())));
    } catch (IllegalArgumentException e) {
      throw invalid(Texts.message(String.valueOf(e.getMessage())));
    }
  }

  @Override
  public void listPortKeys(
      ListPortKeysRequest request, StreamObserver<ListPortKeysResponse> observer) {
    ListPortKeysResponse.Builder response = ListPortKeysResponse.newBuilder();
    if (request.getSandbox().indexOf('\0') < 0) {
      keys.list(Callers.tenant().tenant(), request.getSandbox()).stream()
          .map(PortKeyApi::message)
          .forEach(response::addKeys);
    }
    observer.onNext(response.build());
    observer.onCompleted();
  }

  @Override
  public void deletePortKey(
      DeletePortKeyRequest request, StreamObserver<DeletePortKeyResponse> observer) {
    if (!PortKeyRecord.isId(request.getId())) {
      throw invalid("id is " + Texts.quoted(request.getId()) + ", expected a key's id");
    }
    keys.remove(Callers.tenant().tenant(), request.getId());
    log.atInfo()
        .setMessage("port_key_removed")
        .addKeyValue("key", request.getId())
        .addKeyValue("token", Callers.tenant().tokenId())
        .log();
    observer.onNext(DeletePortKeyResponse.getDefaultInstance());
    observer.onCompleted();
  }

  @Override
  public void checkPortKey(CheckPortKeyRequest request, StreamObserver<PortKey> observer) {
    if (!(Callers.current() instanceof Caller.PortKey caller)) {
      throw new IllegalStateException("called by another than a key");
    }
    PortKeyRecord key =
        keys.find(caller.tenant(), caller.keyId()).orElseThrow(PortKeyApi::noLonger);
    boolean whatever =
        key.host().isPresent() && request.equals(CheckPortKeyRequest.getDefaultInstance());
    if (!whatever
        && (!key.sandbox().equals(request.getSandbox()) || key.port() != request.getPort())) {
      throw noLonger();
    }
    observer.onNext(message(key));
    observer.onCompleted();
  }

  private static Refusal noLonger() {
    return new Refusal(ErrorReason.ERROR_REASON_TOKEN_INVALID, "the key is not for what is asked");
  }

  private static PortKey message(PortKeyRecord key) {
    PortKey.Builder message =
        PortKey.newBuilder()
            .setId(key.id())
            .setSandbox(key.sandbox())
            .setPort(key.port())
            .setPublic(key.everybodys())
            .setCreateTime(Wire.timestamp(key.createTime()));
    key.expireTime().map(Wire::timestamp).ifPresent(message::setExpireTime);
    key.host().map(ExposedHost::label).ifPresent(message::setHost);
    return message.build();
  }

  private static Refusal invalid(String message) {
    return new Refusal(ErrorReason.ERROR_REASON_INVALID_ARGUMENT, message);
  }
}
