package dev.cofferdam.scheduler.api;

import com.google.protobuf.Duration;
import com.google.protobuf.Timestamp;
import dev.cofferdam.scheduler.sandbox.EventDraft;
import dev.cofferdam.scheduler.sandbox.Sandbox;
import dev.cofferdam.scheduler.sandbox.SandboxState.Ended;
import dev.cofferdam.scheduler.sandbox.SandboxState.Paused;
import dev.cofferdam.scheduler.sandbox.SandboxState.Running;
import dev.cofferdam.scheduler.sandbox.SandboxState.Starting;
import dev.cofferdam.scheduler.sandbox.SandboxState.Stopping;
import dev.cofferdam.scheduler.sandbox.SandboxState.Suspended;
import dev.cofferdam.scheduler.snapshot.Snapshot;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Creating;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Deleted;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Deleting;
import dev.cofferdam.scheduler.snapshot.SnapshotState.Ready;
import dev.cofferdam.scheduler.store.SandboxEvent;
import dev.cofferdam.scheduler.template.Template;
import dev.cofferdam.scheduler.tenant.TokenRecord;
import dev.cofferdam.scheduler.volume.Volume;
import dev.cofferdam.scheduler.volume.VolumeState;
import dev.cofferdam.v1.SandboxEventType;
import dev.cofferdam.v1.SandboxSize;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.SecretReference;
import dev.cofferdam.v1.SnapshotKind;
import dev.cofferdam.v1.SnapshotState;
import dev.cofferdam.v1.TemplateState;
import dev.cofferdam.v1.TimeoutAction;
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
            .setSize(size(sandbox.size()))
            .putAllLabels(sandbox.labels())
            .setCreateTime(timestamp(sandbox.createTime()))
            .setNode(sandbox.node())
            .setEgressPolicy(sandbox.policy())
            .setPolicyRevision(sandbox.policyRevision())
            .setIsolation(sandbox.isolation().wireName())
            .setEtag(sandbox.etag());
    sandbox.lifetime().expireTime().map(Wire::timestamp).ifPresent(message::setExpireTime);
    sandbox.lifetime().idleTimeout().map(Wire::duration).ifPresent(message::setIdleTimeout);
    message.setTimeoutAction(
        switch (sandbox.lifetime().action()) {
          case DELETE -> TimeoutAction.TIMEOUT_ACTION_DELETE;
          case SUSPEND -> TimeoutAction.TIMEOUT_ACTION_SUSPEND;
          case NONE -> TimeoutAction.TIMEOUT_ACTION_NONE;
        });
    sandbox
        .origin()
        .ifPresent(origin -> {
          message.setForkedFrom(origin.sandbox());
          origin.snapshot().ifPresent(message::setSnapshot);
        });
    sandbox.start().ifPresent(message::setStart);
    sandbox
        .secrets()
        .forEach(use ->
            message.addSecrets(
                SecretReference.newBuilder().setSecret(use.secret()).setEnv(use.env())));
    sandbox.volumes().forEach(use -> message.putVolumes(use.directory(), use.name()));
    switch (sandbox.state()) {
      case Starting _ -> message.setState(SandboxState.SANDBOX_STATE_STARTING);
      case Running _ -> message.setState(SandboxState.SANDBOX_STATE_RUNNING);
      case Paused _ -> message.setState(SandboxState.SANDBOX_STATE_PAUSED);
      case Suspended _ -> message.setState(SandboxState.SANDBOX_STATE_SUSPENDED);
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

  static dev.cofferdam.v1.Snapshot snapshot(Snapshot snapshot) {
    return dev.cofferdam.v1.Snapshot.newBuilder()
        .setId(snapshot.id())
        .setTenant(snapshot.tenant())
        .setSandbox(snapshot.sandbox())
        .setKind(
            switch (snapshot.kind()) {
              case FULL -> SnapshotKind.SNAPSHOT_KIND_FULL;
              case DISK -> SnapshotKind.SNAPSHOT_KIND_DISK;
            })
        .setTemplate(snapshot.template())
        .setSize(size(snapshot.size()))
        .putAllLabels(snapshot.labels())
        .setCreateTime(timestamp(snapshot.createTime()))
        .setNode(snapshot.node())
        .setBytes(snapshot.bytes())
        .setState(
            switch (snapshot.state()) {
              case Creating _ -> SnapshotState.SNAPSHOT_STATE_CREATING;
              case Ready _ -> SnapshotState.SNAPSHOT_STATE_READY;
              case Deleting _, Deleted _ -> SnapshotState.SNAPSHOT_STATE_DELETING;
            })
        .build();
  }

  static dev.cofferdam.v1.Template template(Template template) {
    return dev.cofferdam.v1.Template.newBuilder()
        .setName(template.name())
        .setTenant(template.tenant())
        .setSource(template.source())
        .setDigest(template.digest())
        .setState(
            switch (template.state()) {
              case MAKING -> TemplateState.TEMPLATE_STATE_MAKING;
              case READY -> TemplateState.TEMPLATE_STATE_READY;
              case FAILED, DELETING -> TemplateState.TEMPLATE_STATE_FAILED;
            })
        .setMessage(template.message())
        .setDefaultSize(size(template.size()))
        .setCreateTime(timestamp(template.createTime()))
        .build();
  }

  /** One of the operator's: every node that names it has it. */
  static dev.cofferdam.v1.Template template(String operators) {
    return dev.cofferdam.v1.Template.newBuilder()
        .setName(operators)
        .setState(TemplateState.TEMPLATE_STATE_READY)
        .build();
  }

  /** One that is whole. */
  static dev.cofferdam.v1.Volume volume(Volume volume) {
    return dev.cofferdam.v1.Volume.newBuilder()
        .setName(volume.name())
        .setTenant(volume.tenant())
        .setSizeMib(volume.sizeMib())
        .setNode(volume.node())
        .setSandbox(
            volume.state() instanceof VolumeState.Ready ready ? ready.sandbox().orElse("") : "")
        .setSource(volume.source().map(Volume.Source::name).orElse(""))
        .setTemplate(volume.base().map(Volume.Base::template).orElse(""))
        .setCreateTime(timestamp(volume.createTime()))
        .build();
  }

  private static SandboxSize size(dev.cofferdam.scheduler.sandbox.SandboxSize size) {
    return SandboxSize.newBuilder()
        .setVcpus(size.vcpus())
        .setMemoryMib(size.memoryMib())
        .setDiskMib(size.diskMib())
        .build();
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
      case PAUSED -> SandboxEventType.SANDBOX_EVENT_TYPE_PAUSED;
      case RESUMED -> SandboxEventType.SANDBOX_EVENT_TYPE_RESUMED;
      case SUSPENDED -> SandboxEventType.SANDBOX_EVENT_TYPE_SUSPENDED;
      case ROLLED_BACK -> SandboxEventType.SANDBOX_EVENT_TYPE_ROLLED_BACK;
      case SNAPSHOT_CREATED -> SandboxEventType.SANDBOX_EVENT_TYPE_SNAPSHOT_CREATED;
      case EXPIRED -> SandboxEventType.SANDBOX_EVENT_TYPE_EXPIRED;
      case NODE_LOST -> SandboxEventType.SANDBOX_EVENT_TYPE_NODE_LOST;
      case NODE_BACK -> SandboxEventType.SANDBOX_EVENT_TYPE_NODE_BACK;
    };
  }

  private static Duration duration(java.time.Duration duration) {
    return Duration.newBuilder()
        .setSeconds(duration.getSeconds())
        .setNanos(duration.getNano())
        .build();
  }

  static Timestamp timestamp(Instant instant) {
    return Timestamp.newBuilder()
        .setSeconds(instant.getEpochSecond())
        .setNanos(instant.getNano())
        .build();
  }
}
