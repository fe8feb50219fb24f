package dev.cofferdam.broker.api;

import com.google.protobuf.Timestamp;
import dev.cofferdam.broker.audit.AuditTexts;
import dev.cofferdam.broker.policy.Policies;
import dev.cofferdam.broker.policy.UseLimits;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ForkMode;
import dev.cofferdam.v1.Secret;
import dev.cofferdam.v1.Token;
import io.grpc.stub.StreamObserver;
import java.time.Instant;
import java.util.Optional;

/** What the services have in common. */
final class Answers {
  static final int MAX_PAGE = 1000;

  private Answers() {}

  static <T> void answer(StreamObserver<T> observer, T answer) {
    observer.onNext(answer);
    observer.onCompleted();
  }

  /** What takes a while, on a thread of its own. */
  @FunctionalInterface
  interface Work {
    void run() throws InterruptedException;
  }

  /** Whatever ends the work is told to its caller. */
  static void told(StreamObserver<?> caller, Work work) {
    try {
      work.run();
    } catch (InterruptedException e) {
      caller.onError(
          Refusals.toStatus(
              new Refusal(ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE, "the broker stops")));
    } catch (RuntimeException e) {
      caller.onError(Refusals.toStatus(e));
    }
  }

  /** Empty for a field that was left out. */
  static Optional<String> present(String text) {
    return Optional.of(text).filter(present -> !present.isEmpty());
  }

  /** 0 stands for the default. */
  static int pageSize(int asked, int usual) {
    if (asked < 0 || asked > MAX_PAGE) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "page_size is %d, expected 1 to %d, or 0 for %d".formatted(asked, MAX_PAGE, usual));
    }
    return asked == 0 ? usual : asked;
  }

  static Secret message(dev.cofferdam.broker.catalog.Secret secret) {
    Secret.Builder message = Secret.newBuilder();
    if (!secret.limits().equals(UseLimits.NONE)) {
      message.setLimits(Limits.message(secret.limits()));
    }
    secret.shape().ifPresent(shape -> message.setShape(shape.message()));
    secret.oauth().ifPresent(client -> message.setOauth(client.spec()));
    return message
        .setName(secret.name())
        .addAllBindings(secret.bindings().stream().map(Policies::message).toList())
        .setVersion(secret.version())
        .setCreateTime(timestamp(secret.createTime()))
        .setUpdateTime(timestamp(secret.updateTime()))
        .setEtag(secret.etag())
        .setForkMode(
            switch (secret.forkMode()) {
              case DROP -> ForkMode.FORK_MODE_DROP;
              case INHERIT -> ForkMode.FORK_MODE_INHERIT;
            })
        .build();
  }

  static Token message(dev.cofferdam.broker.tenant.Token token) {
    return Token.newBuilder()
        .setId(token.id())
        .setTenant(token.tenant())
        .addAllScopes(token.scopes())
        .setCreateTime(timestamp(token.createTime()))
        .build();
  }

  static Timestamp timestamp(Instant instant) {
    return AuditTexts.timestamp(instant);
  }
}
