package dev.cofferdam.scheduler.api;

import com.google.protobuf.Timestamp;
import dev.cofferdam.scheduler.sandbox.EventDraft;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxState.Ended;
import dev.cofferdam.scheduler.sandbox.SandboxState.Running;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.sandbox.SandboxState.Stopping;
import dev.cofferdam.scheduler.store.SandboxEvent;
import dev.cofferdam.scheduler.tenant.TokenRecord;
import dev.cofferdam.v1.SandboxEventType;
import dev.cofferdam.v1.SandboxSize;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.SecretReference;
import dev.cofferdam.v1.Token;
import java.time.Instant;

/** Records as messages. */
final class Wire {
  private Wire() {}

  static dev.cofferdam.v1.Sandbox sandbox(Sandbox sandbox) {
    dev.cofferdam.v1.Sandbox.Builder message =
        dev.cofferdam.v1.Sandbox.newBuilder()
            .setId(sandbox.id())
            .setTenant(sandbox.tenant())
            .setTemplate(sandbox.template())
            .setSize(
                SandboxSize.newBuilder()
                    .setVcpus(sandbox.size().vcpus())
                    .setMemoryMib(sandbox.size().memoryMib())
                    .setDiskMib(sandbox.size().diskMib()))
            .putAllLabels(sandbox.labels())
            .setCreateTime(timestamp(sandbox.createTime()))
            .setNode(sandbox.node())
            .setEgressPolicy(sandbox.policy())
            .setPolicyRevision(sandbox.policyRevision())
            .setIsolation(sandbox.isolation().wireName())
            .setEtag(sandbox.etag());
    sandbox.expireTime().map(Wire::timestamp).ifPresent(message::setExpireTime);
    sandbox
        .secrets()
        .forEach(use ->
            message.addSecrets(
                SecretReference.newBuilder().setSecret(use.secret()).setEnv(use.env())));
    switch (sandbox.state()) {
      case Starting _ -> message.setState(SandboxState.SANDBOX_STATE_STARTING);
      case Running _ -> message.setState(SandboxState.SANDBOX_STATE_RUNNING);
      case Stopping stopping ->
          message.setState(SandboxState.SANDBOX_STATE_STOPPING).setEndMessage(stopping.message());
      case Ended ended ->
          message
              .setState(SandboxState.SANDBOX_STATE_ENDED)
              .setEndMessage(ended.message())
              .setEndTime(timestamp(ended.at()));
    }
    return message.build();
  }

  static dev.cofferdam.v1.SandboxEvent event(String tenant, SandboxEvent event) {
    return dev.cofferdam.v1.SandboxEvent.newBuilder()
        .setCursor(OpaqueTokens.cursor(tenant, event.cursor()))
        .setTime(timestamp(event.draft().time()))
        .setSandbox(event.sandbox())
        .setType(type(event.draft().kind()))
        .setMessage(event.draft().message())
        .build();
  }

  static Token token(TokenRecord token) {
    return Token.newBuilder()
        .setId(token.id())
        .setTenant(token.tenant())
        .addAllScopes(token.scopeNames())
        .setCreateTime(timestamp(token.createTime()))
        .build();
  }

  private static SandboxEventType type(EventDraft.Kind kind) {
    return switch (kind) {
      case CREATED -> SandboxEventType.SANDBOX_EVENT_TYPE_CREATED;
      case RUNNING -> SandboxEventType.SANDBOX_EVENT_TYPE_RUNNING;
      case EXTENDED -> SandboxEventType.SANDBOX_EVENT_TYPE_EXTENDED;
      case POLICY_UPDATED -> SandboxEventType.SANDBOX_EVENT_TYPE_POLICY_UPDATED;
      case START_FAILED -> SandboxEventType.SANDBOX_EVENT_TYPE_START_FAILED;
      case ENDED -> SandboxEventType.SANDBOX_EVENT_TYPE_ENDED;
    };
  }

  private static Timestamp timestamp(Instant instant) {
    return Timestamp.newBuilder()
        .setSeconds(instant.getEpochSecond())
        .setNanos(instant.getNano())
        .build();
  }
}
