package dev.cofferdam.scheduler;

import static dev.cofferdam.scheduler.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.Duration;
import dev.cofferdam.internal.v1.StartSandboxRequest;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ExtendSandboxRequest;
import dev.cofferdam.v1.ListSandboxesRequest;
import dev.cofferdam.v1.ListSandboxesResponse;
import dev.cofferdam.v1.ListTokensRequest;
import dev.cofferdam.v1.RegisterTokenRequest;
import dev.cofferdam.v1.RemoveTokenRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxServiceGrpc.SandboxServiceBlockingStub;
import dev.cofferdam.v1.SandboxSize;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.SecretReference;
import dev.cofferdam.v1.UpdateSandboxPolicyRequest;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The public API as a tenant meets it: real TLS, real PostgreSQL, a fake node and broker. */
class SchedulerAppTest extends MeshTest {
  @Override
  Map<String, String> settings() {
    return Map.of("quota.sandboxes", "5");
  }

  @Test
  void aSandboxIsMadeWithGrantsAndPlaceholdersAndEndsWithoutThem() {
    Sandbox made =
        acme.createSandbox(
            CreateSandboxRequest.newBuilder()
                .putEnv("MODE", "fast")
                .addSecrets(SecretReference.newBuilder().setSecret(FakeBroker.SECRET))
                .putLabels("team", "blue")
                .build());
    assertThat(made.getState()).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
    assertThat(made.getId()).matches("sb-[a-z2-7]{20}");
    assertThat(made.getTemplate()).isEqualTo("debian");
    assertThat(made.getSize())
        .isEqualTo(SandboxSize.newBuilder().setVcpus(1).setMemoryMib(512).setDiskMib(2048).build());
    assertThat(made.getNode()).isEqualTo("n1");
    assertThat(made.getIsolation()).isEqualTo("emulated");
    assertThat(made.getPolicyRevision()).isEqualTo(1);
    assertThat(acme.getSandbox(get(made.getId()))).isEqualTo(made);

    StartSandboxRequest started = mesh.node.started.getFirst();
    assertThat(started.getEnvMap())
        .containsOnly(
            Map.entry("MODE", "fast"), Map.entry("API_KEY", "placeholder-" + made.getId()));
    assertThat(started.getAttachTicket()).isEqualTo("ticket-" + made.getId());
    assertThat(started.getEpoch()).isEqualTo(1);
    assertThat(mesh.broker.tokens).containsExactly(token);

    var _ = acme.deleteSandbox(delete(made.getId()));
    assertThat(mesh.node.running).isEmpty();
    assertThat(mesh.broker.revoked).containsExactly(made.getId());
    Sandbox ended = acme.getSandbox(get(made.getId()));
    assertThat(ended.getState()).isEqualTo(SandboxState.SANDBOX_STATE_ENDED);
    assertThat(ended.getEtag()).isNotEqualTo(made.getEtag());
    // Deleting what is deleted succeeds.
    var _ = acme.deleteSandbox(delete(made.getId()));
  }

  @Test
  void grantsAreRevokedBeforeTheNodeRemoves() {
    String id = create(acme).getId();
    List<String> order = new ArrayList<>();
    mesh.broker.hook = order::add;
    mesh.node.hook = order::add;
    var _ = acme.deleteSandbox(delete(id));
    assertThat(order).containsExactly("RevokeGrants", "RemoveSandbox");
  }

  @Test
  void whatIsWrongWithACallersTokenIsSaidPrecisely() {
    String id = create(acme).getId();
    assertRefused(
        () -> mesh.sandboxes("").getSandbox(get(id)),
        Status.Code.UNAUTHENTICATED,
        ErrorReason.ERROR_REASON_TOKEN_MISSING);
    assertRefused(
        () -> mesh.sandboxes("wrong").getSandbox(get(id)),
        Status.Code.UNAUTHENTICATED,
        ErrorReason.ERROR_REASON_TOKEN_INVALID);
    assertRefused(
        () -> mesh.sandboxes(mesh.token("acme", "sandboxes:read")).deleteSandbox(delete(id)),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
    assertRefused(
        () ->
            mesh.sandboxes(mesh.token("acme", "sandboxes:write"))
                .createSandbox(
                    CreateSandboxRequest.newBuilder()
                        .addSecrets(SecretReference.newBuilder().setSecret(FakeBroker.SECRET))
                        .build()),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_SCOPE_MISSING);
    SandboxServiceBlockingStub other = mesh.sandboxes(mesh.token("other", Mesh.ALL_SCOPES));
    for (org.assertj.core.api.ThrowableAssert.ThrowingCallable call :
        List.<org.assertj.core.api.ThrowableAssert.ThrowingCallable>of(
            () -> other.getSandbox(get(id)),
            () -> other.deleteSandbox(delete(id)),
            () -> other.extendSandbox(ExtendSandboxRequest.newBuilder().setSandbox(id).build()),
            () ->
                other.updateSandboxPolicy(
                    UpdateSandboxPolicyRequest.newBuilder().setSandbox(id).build()))) {
      assertRefused(call, Status.Code.NOT_FOUND, ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
    }
    assertThat(other.listSandboxes(ListSandboxesRequest.getDefaultInstance()).getSandboxesList())
        .isEmpty();
    assertThat(mesh.node.running).containsOnlyKeys(id);
  }

  @Test
  void aTokenThatIsRemovedIsRefusedFromThenOn() {
    var operator = mesh.operator(mesh.port());
    String mine = operator.listTokens(ListTokensRequest.getDefaultInstance()).getTokens(0).getId();
    var _ = operator.removeToken(RemoveTokenRequest.newBuilder().setId(mine).build());
    assertRefused(
        () -> acme.listSandboxes(ListSandboxesRequest.getDefaultInstance()),
        Status.Code.UNAUTHENTICATED,
        ErrorReason.ERROR_REASON_TOKEN_INVALID);
    assertThat(operator.listTokens(ListTokensRequest.getDefaultInstance()).getTokensList())
        .isEmpty();
  }

  @Test
  void tokensAreForOperatorsAndNeverMayWriteSecrets() {
    RegisterTokenRequest writes =
        RegisterTokenRequest.newBuilder()
            .setId("tk-bbbbbbbbbbbbbbbb")
            .setTenant("acme")
            .addScopes("secrets:write")
            .setSha256(com.google.protobuf.ByteString.copyFrom(new byte[32]))
            .build();
    assertRefused(
        () -> mesh.operator(mesh.port()).registerToken(writes),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    RegisterTokenRequest fine = writes.toBuilder().clearScopes().addScopes("exec").build();
    assertRefused(
        () ->
            dev.cofferdam.v1.TokenServiceGrpc.newBlockingStub(
                    mesh.peer("node-agent", "n1", mesh.port()))
                .registerToken(fine),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_PEER_NOT_ALLOWED);
    assertRefused(
        () ->
            dev.cofferdam.v1.TokenServiceGrpc.newBlockingStub(mesh.tenant(token))
                .registerToken(fine),
        Status.Code.PERMISSION_DENIED,
        ErrorReason.ERROR_REASON_PEER_NOT_ALLOWED);
    var operator = mesh.operator(mesh.port());
    assertThat(operator.registerToken(fine)).isEqualTo(operator.registerToken(fine));
    assertRefused(
        () -> operator.registerToken(fine.toBuilder().setTenant("other").build()),
        Status.Code.ALREADY_EXISTS,
        ErrorReason.ERROR_REASON_REQUEST_ID_REUSED);
  }

  @Test
  void whatNoNodeCanHoldOrOffersIsRefusedWithoutATrace() {
    assertRefused(
        () -> acme.createSandbox(CreateSandboxRequest.newBuilder().setTemplate("plan9").build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND);
    assertRefused(
        () -> acme.createSandbox(sized(3, 0, 0)),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE);
    assertRefused(
        () -> acme.createSandbox(sized(0, -1, 0)),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE);
    assertNothingMade();
    var _ = acme.createSandbox(sized(2, 8192, 0));
    assertRefused(
        () -> create(acme), Status.Code.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_NO_CAPACITY);
  }

  @Test
  void aTenantHasNoMoreThanItsQuotaAndGetsRoomBack() {
    for (int i = 0; i < 5; i++) {
      var _ = create(acme);
    }
    assertRefused(
        () -> create(acme),
        Status.Code.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_QUOTA_EXCEEDED);
    var _ = create(mesh.sandboxes(mesh.token("other", Mesh.ALL_SCOPES)));
    var _ = acme.deleteSandbox(delete(mesh.node.started.getFirst().getSandbox()));
    var _ = create(acme);
  }

  @Test
  void pagesAreNewestFirstAndHeldToTheirFilter() {
    List<String> blue = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      mesh.clock.advance(java.time.Duration.ofMillis(1));
      String id =
          acme.createSandbox(
                  CreateSandboxRequest.newBuilder()
                      .putLabels("team", i == 1 ? "red" : "blue")
                      .putLabels("n", String.valueOf(i))
                      .build())
              .getId();
      if (i != 1) {
        blue.addFirst(id);
      }
    }
    ListSandboxesRequest request =
        ListSandboxesRequest.newBuilder().setPageSize(2).putLabelFilter("team", "blue").build();
    ListSandboxesResponse first = acme.listSandboxes(request);
    ListSandboxesResponse second =
        acme.listSandboxes(request.toBuilder().setPageToken(first.getNextPageToken()).build());
    List<String> seen = new ArrayList<>();
    first.getSandboxesList().forEach(sandbox -> seen.add(sandbox.getId()));
    second.getSandboxesList().forEach(sandbox -> seen.add(sandbox.getId()));
    assertThat(seen).isEqualTo(blue);
    assertThat(second.getNextPageToken()).isEmpty();

    for (ListSandboxesRequest wrong :
        List.of(
            request.toBuilder().setPageToken("nonsense").build(),
            request.toBuilder().setPageToken("!").build(),
            request.toBuilder()
                .clearLabelFilter()
                .setPageToken(first.getNextPageToken())
                .build())) {
      assertRefused(
          () -> acme.listSandboxes(wrong),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_PAGE_TOKEN_INVALID);
    }
    assertRefused(
        () ->
            mesh.sandboxes(mesh.token("other", Mesh.ALL_SCOPES))
                .listSandboxes(request.toBuilder().setPageToken(first.getNextPageToken()).build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_PAGE_TOKEN_INVALID);
    assertRefused(
        () -> acme.listSandboxes(request.toBuilder().setPageSize(1001).build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);

    var _ = acme.deleteSandbox(delete(blue.getFirst()));
    assertThat(acme.listSandboxes(request).getSandboxes(0).getId()).isEqualTo(blue.get(1));
    assertThat(
            acme.listSandboxes(request.toBuilder().setShowEnded(true).build())
                .getSandboxes(0)
                .getId())
        .isEqualTo(blue.getFirst());
  }

  @Test
  void anEndCanBeMovedAndRemovedUnderAnEtag() {
    Sandbox made = create(acme);
    Sandbox extended =
        acme.extendSandbox(
            ExtendSandboxRequest.newBuilder()
                .setSandbox(made.getId())
                .setLifetime(Duration.newBuilder().setSeconds(60))
                .setEtag(made.getEtag())
                .build());
    assertThat(extended.getExpireTime().getSeconds())
        .isEqualTo(mesh.clock.instant().getEpochSecond() + 60);
    assertRefused(
        () ->
            acme.extendSandbox(
                ExtendSandboxRequest.newBuilder()
                    .setSandbox(made.getId())
                    .setEtag(made.getEtag())
                    .build()),
        Status.Code.ABORTED,
        ErrorReason.ERROR_REASON_ETAG_MISMATCH);
    assertRefused(
        () ->
            acme.extendSandbox(
                ExtendSandboxRequest.newBuilder()
                    .setSandbox(made.getId())
                    .setLifetime(Duration.newBuilder().setNanos(999_999_999))
                    .build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    assertRefused(
        () ->
            acme.extendSandbox(
                ExtendSandboxRequest.newBuilder()
                    .setSandbox(made.getId())
                    .setLifetime(Duration.newBuilder().setSeconds(315_000_000_000L))
                    .build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    Sandbox endless =
        acme.extendSandbox(ExtendSandboxRequest.newBuilder().setSandbox(made.getId()).build());
    assertThat(endless.hasExpireTime()).isFalse();
    var _ = acme.deleteSandbox(delete(made.getId()));
    assertRefused(
        () ->
            acme.extendSandbox(ExtendSandboxRequest.newBuilder().setSandbox(made.getId()).build()),
        Status.Code.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_RUNNING);
  }

  @Test
  void aPolicyIsJudgedByTheBrokerAndThenKept() {
    Sandbox made = create(acme);
    EgressPolicy policy =
        EgressPolicy.newBuilder()
            .addRules(EgressRule.newBuilder().setHost("api.example.com"))
            .build();
    UpdateSandboxPolicyRequest request =
        UpdateSandboxPolicyRequest.newBuilder()
            .setSandbox(made.getId())
            .setEgressPolicy(policy)
            .setEtag(made.getEtag())
            .build();
    Sandbox updated = acme.updateSandboxPolicy(request);
    assertThat(updated.getEgressPolicy()).isEqualTo(policy);
    assertThat(updated.getPolicyRevision()).isEqualTo(2);
    assertThat(mesh.broker.tokens).containsExactly(token, token);
    // The broker is not asked under an old etag.
    assertRefused(
        () -> acme.updateSandboxPolicy(request),
        Status.Code.ABORTED,
        ErrorReason.ERROR_REASON_ETAG_MISMATCH);
    assertThat(mesh.broker.revision(made.getId())).isEqualTo(2);

    assertRefused(
        () ->
            acme.updateSandboxPolicy(
                UpdateSandboxPolicyRequest.newBuilder()
                    .setSandbox(made.getId())
                    .setEgressPolicy(
                        EgressPolicy.newBuilder()
                            .addRules(EgressRule.newBuilder().setHost("*.com")))
                    .build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_HOST_PATTERN_INVALID);
    assertThat(acme.getSandbox(get(made.getId()))).isEqualTo(updated);
  }

  private void assertNothingMade() {
    assertThat(
            acme.listSandboxes(ListSandboxesRequest.newBuilder().setShowEnded(true).build())
                .getSandboxesList())
        .isEmpty();
    assertThat(mesh.broker.calls).isEmpty();
    assertThat(mesh.node.calls).isEmpty();
  }

  private static CreateSandboxRequest sized(int vcpus, int memory, int disk) {
    return CreateSandboxRequest.newBuilder()
        .setSize(SandboxSize.newBuilder().setVcpus(vcpus).setMemoryMib(memory).setDiskMib(disk))
        .build();
  }
}
