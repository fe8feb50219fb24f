package dev.cofferdam.scheduler;

import static dev.cofferdam.scheduler.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.CreateSnapshotRequest;
import dev.cofferdam.v1.CreateVolumeRequest;
import dev.cofferdam.v1.DeleteVolumeRequest;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ForkSandboxRequest;
import dev.cofferdam.v1.GetVolumeRequest;
import dev.cofferdam.v1.ListVolumesRequest;
import dev.cofferdam.v1.ListVolumesResponse;
import dev.cofferdam.v1.RollBackSandboxRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxSize;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.Snapshot;
import dev.cofferdam.v1.SnapshotKind;
import dev.cofferdam.v1.SuspendSandboxRequest;
import dev.cofferdam.v1.Volume;
import dev.cofferdam.v1.VolumeServiceGrpc.VolumeServiceBlockingStub;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Volumes: made, listed, had by one sandbox at a time, copied and gone; and what goes wrong. */
class VolumeTest extends MeshTest {
  private VolumeServiceBlockingStub volumes;

  @Override
  Map<String, String> settings() {
    return Map.of("quota.volumes", "4");
  }

  @BeforeEach
  void client() {
    volumes = mesh.volumes(token);
  }

  @Test
  void oneIsMadeOnANodeAndOutlivesTheScheduler() throws Exception {
    Volume made = volumes.createVolume(named("data").build());
    assertThat(made.getName()).isEqualTo("data");
    assertThat(made.getTenant()).isEqualTo("acme");
    assertThat(made.getSizeMib()).isEqualTo(1024);
    assertThat(made.getNode()).isEqualTo("n1");
    assertThat(made.getSandbox()).isEmpty();
    assertThat(mesh.node.volumes).hasSize(1);
    assertThat(mesh.node.volumes.values().iterator().next().getSizeMib()).isEqualTo(1024);
    restart();
    assertThat(volumes.getVolume(volume("data"))).isEqualTo(made);
  }

  @Test
  void theSameCreateAgainIsTheSameVolumeAndAnotherOneIsRefused() {
    Volume made = volumes.createVolume(named("data").setSizeMib(64).build());
    assertThat(volumes.createVolume(named("data").setSizeMib(64).build())).isEqualTo(made);
    for (CreateVolumeRequest other :
        List.of(
            named("data").build(),
            named("data").setSizeMib(65).build(),
            named("data").setSizeMib(64).setSource("data").build())) {
      assertRefused(
          () -> volumes.createVolume(other),
          Status.Code.ALREADY_EXISTS,
          ErrorReason.ERROR_REASON_VOLUME_EXISTS);
    }
    assertThat(mesh.node.volumes).hasSize(1);
  }

  @Test
  void ofManyCreatesOfOneNameOneMakesIt() {
    List<CompletableFuture<Volume>> creates = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      creates.add(
          CompletableFuture.supplyAsync(
              () -> volumes.createVolume(named("data").build()), Thread::startVirtualThread));
    }
    assertThat(creates.stream().map(CompletableFuture::join).distinct()).hasSize(1);
    assertThat(mesh.node.volumes).hasSize(1);
  }

  @Test
  void whatIsNoVolumeIsRefusedBeforeAnythingIsMade() {
    for (String name : List.of("", "Data", "0", "a_b", "a".repeat(64), "../x")) {
      assertRefused(
          () -> volumes.createVolume(named(name).build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    }
    for (int size : List.of(1, 63, (1 << 20) + 1, -1)) {
      assertRefused(
          () -> volumes.createVolume(named("data").setSizeMib(size).build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE);
    }
    assertRefused(
        () -> volumes.createVolume(named("data").setSource("gone").build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_VOLUME_NOT_FOUND);
    assertThat(mesh.node.volumes).isEmpty();
  }

  @Test
  void aSandboxHasItFromItsCreateToItsEndAndNoOtherMeanwhile() {
    var _ = volumes.createVolume(named("data").build());
    Sandbox first = with("/srv/data", "data");
    assertThat(first.getVolumesMap()).containsExactly(Map.entry("/srv/data", "data"));
    assertThat(acme.getSandbox(get(first)).getVolumesMap()).isEqualTo(first.getVolumesMap());
    assertThat(mesh.node.started.getLast().getVolumesMap())
        .containsExactly(Map.entry("/srv/data", mesh.node.volumes.keySet().iterator().next()));
    assertThat(volumes.getVolume(volume("data")).getSandbox()).isEqualTo(first.getId());
    assertInUse(() -> with("/x", "data"));
    assertInUse(() -> volumes.deleteVolume(deletion("data")));
    // Asleep it has it still.
    var _ =
        acme.suspendSandbox(SuspendSandboxRequest.newBuilder().setSandbox(first.getId()).build());
    assertInUse(() -> with("/x", "data"));
    var _ = acme.deleteSandbox(delete(first.getId()));
    assertThat(volumes.getVolume(volume("data")).getSandbox()).isEmpty();
    assertThat(acme.getSandbox(get(first)).getVolumesMap()).as("for the record").hasSize(1);
    Sandbox second = with("/x", "data");
    assertThat(volumes.getVolume(volume("data")).getSandbox()).isEqualTo(second.getId());
  }

  @Test
  void ofManyCreatesWithOneVolumeOneGetsIt() {
    var _ = volumes.createVolume(named("data").build());
    List<CompletableFuture<Optional<ErrorReason>>> creates = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      creates.add(
          CompletableFuture.supplyAsync(
              () ->
                  Optional.ofNullable(catchThrowable(() -> with("/data", "data")))
                      .flatMap(Refusals::reason),
              Thread::startVirtualThread));
    }
    List<ErrorReason> refused =
        creates.stream().map(CompletableFuture::join).flatMap(Optional::stream).toList();
    assertThat(mesh.node.running).hasSize(1);
    assertThat(refused).hasSize(7).containsOnly(ErrorReason.ERROR_REASON_VOLUME_IN_USE);
  }

  @Test
  void aSandboxThatDidNotStartHasNothingAnyMore() {
    var _ = volumes.createVolume(named("data").build());
    mesh.node.hook =
        failing("StartSandbox", new Refusal(ErrorReason.ERROR_REASON_SANDBOX_START_FAILED, "no"));
    assertRefused(
        () -> with("/data", "data"),
        Status.Code.INTERNAL,
        ErrorReason.ERROR_REASON_SANDBOX_START_FAILED);
    assertThat(volumes.getVolume(volume("data")).getSandbox()).isEmpty();
    mesh.node.hook = _ -> {};
    assertThat(with("/data", "data").getState()).isEqualTo(SandboxState.SANDBOX_STATE_RUNNING);
  }

  @Test
  void aSandboxWhoseNodeCannotSayThatItIsGoneHasItStill() throws Exception {
    var _ = volumes.createVolume(named("data").build());
    Sandbox first = with("/data", "data");
    mesh.node.hook = failing("RemoveSandbox", Status.UNAVAILABLE.asRuntimeException());
    var _ = acme.deleteSandbox(delete(first.getId()));
    assertInUse(() -> with("/data", "data"));
    restart();
    assertInUse(() -> volumes.deleteVolume(deletion("data")));
    mesh.node.hook = _ -> {};
    var _ = mesh.connect();
    awaitTrue(() -> volumes.getVolume(volume("data")).getSandbox().isEmpty());
  }

  @Test
  void oneThatEndsByItselfGivesItsVolumeBack() throws Exception {
    var _ = volumes.createVolume(named("data").build());
    Sandbox first = with("/data", "data");
    mesh.node.running.remove(first.getId());
    mesh.clock.advance(java.time.Duration.ofSeconds(10));
    var _ = mesh.connect();
    awaitTrue(() -> volumes.getVolume(volume("data")).getSandbox().isEmpty());
    assertThat(state(first.getId())).isEqualTo(SandboxState.SANDBOX_STATE_ENDED);
  }

  @Test
  void aCreateThatTheSchedulersEndCutsOffGivesItsVolumeBack() throws Exception {
    var _ = volumes.createVolume(named("data").build());
    CountDownLatch arrived = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    mesh.node.hook = holding("StartSandbox", arrived, go);
    CompletableFuture<Sandbox> creating =
        CompletableFuture.supplyAsync(() -> with("/data", "data"), Thread::startVirtualThread);
    await(arrived);
    mesh.stop();
    go.countDown();
    assertThat(creating).failsWithin(Mesh.PATIENCE_S, TimeUnit.SECONDS);
    mesh.node.hook = _ -> {};
    restart();
    var _ = mesh.connect();
    awaitTrue(() -> volumes.getVolume(volume("data")).getSandbox().isEmpty());
  }

  @Test
  void itsSandboxIsPlacedWhereItLiesOrNotAtAll() throws Exception {
    var _ = volumes.createVolume(named("data").build());
    mesh.connectAs("n2");
    mesh.node.hook =
        failing("StartSandbox", new Refusal(ErrorReason.ERROR_REASON_NO_CAPACITY, "full"));
    assertRefused(
        () -> with("/data", "data"),
        Status.Code.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_NO_CAPACITY);
    assertThat(mesh.node.calls).filteredOn("StartSandbox"::equals).hasSize(1);
    mesh.node.hook = _ -> {};
    for (int i = 0; i < 6; i++) {
      Sandbox made = with("/data", "data");
      assertThat(made.getNode()).isEqualTo("n1");
      var _ = acme.deleteSandbox(delete(made.getId()));
    }
    mesh.connect().leave();
    awaitTrue(() ->
        Refusals.reason(catchThrowable(() -> with("/data", "data")))
            .filter(ErrorReason.ERROR_REASON_NODE_UNAVAILABLE::equals)
            .isPresent());
    assertThat(volumes.getVolume(volume("data")).getSandbox()).isEmpty();
  }

  @Test
  void aTenantsVolumesLieTogetherAndThoseThatDoNotAreNotHadTogether() throws Exception {
    mesh.connectAs("n2");
    String home = volumes.createVolume(named("a").build()).getNode();
    assertThat(volumes.createVolume(named("b").build()).getNode()).isEqualTo(home);
    // The first that is asked is full: the other one takes it.
    AtomicInteger asked = new AtomicInteger();
    mesh.node.hook =
        method -> {
          if (method.equals("MakeVolume") && asked.incrementAndGet() == 1) {
            throw new Refusal(ErrorReason.ERROR_REASON_NO_CAPACITY, "full");
          }
        };
    assertThat(volumes.createVolume(named("far").build()).getNode()).isNotEqualTo(home);
    assertThat(mesh.node.volumes).hasSize(3);
    assertThat(
            acme.createSandbox(
                    CreateSandboxRequest.newBuilder()
                        .putVolumes("/a", "a")
                        .putVolumes("/b", "b")
                        .build())
                .getNode())
        .isEqualTo(home);
    var _ = volumes.createVolume(named("c").build());
    assertRefused(
        () ->
            acme.createSandbox(
                CreateSandboxRequest.newBuilder()
                    .putVolumes("/c", "c")
                    .putVolumes("/far", "far")
                    .build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
  }

  @Test
  void aRepeatedRequestHasItsVolumeAndDoesNotCompeteWithItself() {
    var _ = volumes.createVolume(named("data").build());
    CreateSandboxRequest request =
        CreateSandboxRequest.newBuilder().setRequestId("r").putVolumes("/data", "data").build();
    Sandbox made = acme.createSandbox(request);
    assertThat(acme.createSandbox(request)).isEqualTo(made);
  }

  @Test
  void nobodySeesOrUsesAnothersVolume() {
    var _ = volumes.createVolume(named("data").build());
    String others = mesh.token("other", Mesh.ALL_SCOPES);
    var other = mesh.volumes(others);
    var otherSandboxes = mesh.sandboxes(others);
    for (ThrowingCallable call :
        List.<ThrowingCallable>of(
            () -> other.getVolume(volume("data")),
            () -> other.deleteVolume(deletion("data")),
            () -> other.createVolume(named("mine").setSource("data").build()),
            () ->
                otherSandboxes.createSandbox(
                    CreateSandboxRequest.newBuilder().putVolumes("/data", "data").build()))) {
      assertRefused(call, Status.Code.NOT_FOUND, ErrorReason.ERROR_REASON_VOLUME_NOT_FOUND);
    }
    assertThat(other.listVolumes(ListVolumesRequest.getDefaultInstance()).getVolumesList())
        .isEmpty();
    // The same name is another volume.
    var _ = other.createVolume(named("data").setSizeMib(64).build());
    assertThat(mesh.node.volumes).hasSize(2);
    var _ = other.deleteVolume(deletion("data"));
    assertThat(volumes.getVolume(volume("data")).getSizeMib()).isEqualTo(1024);
    var reader = mesh.volumes(mesh.token("acme", "sandboxes:read"));
    for (ThrowingCallable call :
        List.<ThrowingCallable>of(
            () -> reader.createVolume(named("x").build()),
            () -> reader.deleteVolume(deletion("data")))) {
      assertRefused(call, Status.Code.PERMISSION_DENIED, ErrorReason.ERROR_REASON_SCOPE_MISSING);
    }
    assertThat(reader.getVolume(volume("data")).getName()).isEqualTo("data");
    assertRefused(
        () -> mesh.volumes("").listVolumes(ListVolumesRequest.getDefaultInstance()),
        Status.Code.UNAUTHENTICATED,
        ErrorReason.ERROR_REASON_TOKEN_MISSING);
  }

  @Test
  void pagesCoverAllOnceByNameUpToTheQuota() {
    for (String name : List.of("b", "a-1", "c", "a")) {
      var _ = volumes.createVolume(named(name).setSizeMib(64).build());
    }
    List<String> seen = new ArrayList<>();
    String page = "";
    do {
      ListVolumesResponse response =
          volumes.listVolumes(
              ListVolumesRequest.newBuilder().setPageSize(3).setPageToken(page).build());
      response.getVolumesList().forEach(volume -> seen.add(volume.getName()));
      page = response.getNextPageToken();
    } while (!page.isEmpty());
    assertThat(seen).containsExactly("a", "a-1", "b", "c");
    assertRefused(
        () -> volumes.listVolumes(ListVolumesRequest.newBuilder().setPageToken("x").build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_PAGE_TOKEN_INVALID);
    assertRefused(
        () -> volumes.createVolume(named("d").build()),
        Status.Code.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_QUOTA_EXCEEDED);
    var _ = volumes.deleteVolume(deletion("a"));
    assertThat(volumes.createVolume(named("d").build()).getName()).isEqualTo("d");
  }

  @Test
  void aDeleteIsForGoodAndWhileTheNodeIsAwayItIsCompletedLater() throws Exception {
    var _ = volumes.createVolume(named("data").setSizeMib(64).build());
    mesh.node.hook = failing("RemoveVolume", Status.UNAVAILABLE.asRuntimeException());
    var _ = volumes.deleteVolume(deletion("data"));
    for (ThrowingCallable call :
        List.<ThrowingCallable>of(
            () -> volumes.getVolume(volume("data")),
            () -> volumes.deleteVolume(deletion("data")))) {
      assertRefused(call, Status.Code.NOT_FOUND, ErrorReason.ERROR_REASON_VOLUME_NOT_FOUND);
    }
    assertThat(mesh.node.volumes).hasSize(1);
    // The name is free, and what comes under it is another one.
    var _ = volumes.createVolume(named("data").setSizeMib(128).build());
    mesh.node.hook = _ -> {};
    restart();
    awaitTrue(() -> mesh.node.volumes.size() == 1);
    assertThat(mesh.node.volumes.values().iterator().next().getSizeMib()).isEqualTo(128);
  }

  @Test
  void whatANodeMadeWithoutAnAnswerIsRemoved() {
    mesh.node.hook = failing("MakeVolume, done", Status.UNAVAILABLE.asRuntimeException());
    assertRefused(
        () -> volumes.createVolume(named("data").build()),
        Status.Code.UNAVAILABLE,
        ErrorReason.ERROR_REASON_NODE_UNAVAILABLE);
    assertThat(mesh.node.volumes).isEmpty();
    assertThat(volumes.listVolumes(ListVolumesRequest.getDefaultInstance()).getVolumesList())
        .isEmpty();
    mesh.node.hook = _ -> {};
    assertThat(volumes.createVolume(named("data").build()).getNode()).isEqualTo("n1");
  }

  @Test
  void oneThatTheSchedulersEndCutsOffIsUndoneByTheNext() throws Exception {
    CountDownLatch arrived = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    mesh.node.hook = holding("MakeVolume, done", arrived, go);
    CompletableFuture<Volume> making =
        CompletableFuture.supplyAsync(
            () -> volumes.createVolume(named("data").setSizeMib(64).build()),
            Thread::startVirtualThread);
    await(arrived);
    assertThat(volumes.listVolumes(ListVolumesRequest.getDefaultInstance()).getVolumesList())
        .as("not yet")
        .isEmpty();
    mesh.stop();
    go.countDown();
    assertThat(making).failsWithin(Mesh.PATIENCE_S, TimeUnit.SECONDS);
    mesh.node.hook = _ -> {};
    restart();
    awaitTrue(mesh.node.volumes::isEmpty);
    var _ = mesh.connect();
    assertThat(volumes.createVolume(named("data").build()).getSizeMib()).isEqualTo(1024);
    assertThat(mesh.node.volumes).hasSize(1);
  }

  @Test
  void aCopyIsOfOneThatNobodyElseWritesToMeanwhile() throws Exception {
    var _ = volumes.createVolume(named("data").setSizeMib(128).build());
    String source = mesh.node.volumes.keySet().iterator().next();
    Sandbox holder = with("/data", "data");
    Volume copy = volumes.createVolume(named("copy").setSource("data").build());
    assertThat(copy.getSizeMib()).isEqualTo(128);
    assertThat(copy.getSource()).isEqualTo("data");
    var ordered =
        mesh.node.volumes.values().stream()
            .filter(request -> !request.getSource().isEmpty())
            .findFirst()
            .orElseThrow();
    assertThat(ordered.getSource()).isEqualTo(source);
    assertThat(ordered.getSourceSandbox()).isEqualTo(holder.getId());
    assertRefused(
        () -> volumes.createVolume(named("less").setSource("data").setSizeMib(127).build()),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE);
    var _ = acme.deleteSandbox(delete(holder.getId()));
    CountDownLatch arrived = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    mesh.node.hook = holding("MakeVolume", arrived, go);
    CompletableFuture<Volume> copying =
        CompletableFuture.supplyAsync(
            () -> volumes.createVolume(named("other").setSource("data").build()),
            Thread::startVirtualThread);
    await(arrived);
    assertInUse(() -> with("/data", "data"));
    go.countDown();
    assertThat(copying).succeedsWithin(Mesh.PATIENCE_S, TimeUnit.SECONDS);
    assertThat(with("/data", "data").getVolumesMap()).hasSize(1);
    var _ = volumes.deleteVolume(deletion("other"));
    assertThat(volumes.getVolume(volume("copy")).getSource()).isEqualTo("data");
  }

  @Test
  void ofASandboxWithOneOnlyTheDiskIsKept() {
    var _ = volumes.createVolume(named("data").build());
    String id = with("/data", "data").getId();
    var snapshots = mesh.snapshots(token);
    assertInUse(
        () -> snapshots.createSnapshot(CreateSnapshotRequest.newBuilder().setSandbox(id).build()));
    assertInUse(() -> acme.forkSandbox(ForkSandboxRequest.newBuilder().setSandbox(id).build()));
    Snapshot disk =
        snapshots.createSnapshot(
            CreateSnapshotRequest.newBuilder()
                .setSandbox(id)
                .setKind(SnapshotKind.SNAPSHOT_KIND_DISK)
                .build());
    var _ =
        acme.rollBackSandbox(
            RollBackSandboxRequest.newBuilder().setSandbox(id).setSnapshot(disk.getId()).build());
    assertThat(volumes.getVolume(volume("data")).getSandbox()).isEqualTo(id);
    Sandbox copy =
        acme.createSandbox(CreateSandboxRequest.newBuilder().setSnapshot(disk.getId()).build());
    assertThat(copy.getVolumesMap()).isEmpty();
    assertThat(mesh.node.started.getLast().getVolumesMap()).isEmpty();
  }

  @Test
  void oneThatWasMadeForATemplateIsTheDiskOfASandbox() {
    Volume made = volumes.createVolume(bootable("disk").setSizeMib(512).build());
    assertThat(made.getTemplate()).isEqualTo("debian");
    assertThat(volumes.createVolume(bootable("disk").setSizeMib(512).build())).isEqualTo(made);
    assertRefused(
        () -> volumes.createVolume(named("disk").setSizeMib(512).build()),
        Status.Code.ALREADY_EXISTS,
        ErrorReason.ERROR_REASON_VOLUME_EXISTS);
    String id = mesh.node.volumes.keySet().iterator().next();
    Sandbox sandbox = with("/", "disk");
    assertThat(sandbox.getTemplate()).isEqualTo("debian");
    assertThat(sandbox.getSize().getDiskMib()).isEqualTo(512);
    assertThat(sandbox.getVolumesMap()).containsExactly(Map.entry("/", "disk"));
    assertThat(mesh.node.started.getLast().getVolumesMap()).containsExactly(Map.entry("/", id));
    assertInUse(() -> with("/", "disk"));
    for (SnapshotKind kind :
        List.of(SnapshotKind.SNAPSHOT_KIND_FULL, SnapshotKind.SNAPSHOT_KIND_DISK)) {
      assertInUse(() ->
          mesh.snapshots(token)
              .createSnapshot(
                  CreateSnapshotRequest.newBuilder()
                      .setSandbox(sandbox.getId())
                      .setKind(kind)
                      .build()));
    }
    var _ = acme.deleteSandbox(delete(sandbox.getId()));
    assertThat(with("/", "disk").getSize().getDiskMib()).isEqualTo(512);
  }

  @Test
  void aDiskThatDoesNotFitIsRefused() {
    var _ = volumes.createVolume(bootable("disk").setSizeMib(512).build());
    var _ = volumes.createVolume(named("data").build());
    for (CreateSandboxRequest.Builder create :
        List.of(booting("/", "data"), CreateSandboxRequest.newBuilder().setDiskSource("data"))) {
      assertRefused(
          () -> acme.createSandbox(create.build()),
          Status.Code.FAILED_PRECONDITION,
          ErrorReason.ERROR_REASON_VOLUME_NOT_BOOTABLE);
    }
    for (CreateSandboxRequest.Builder create :
        List.of(
            booting("/", "disk").setTemplate("other"),
            booting("/", "disk").setDiskSource("disk"),
            booting("/dev", "disk"))) {
      assertRefused(
          () -> acme.createSandbox(create.build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    }
    for (CreateSandboxRequest.Builder create :
        List.of(
            booting("/", "disk").setSize(SandboxSize.newBuilder().setDiskMib(513)),
            CreateSandboxRequest.newBuilder()
                .setDiskSource("disk")
                .setSize(SandboxSize.newBuilder().setDiskMib(511)))) {
      assertRefused(
          () -> acme.createSandbox(create.build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_SIZE_OUT_OF_RANGE);
    }
    assertRefused(
        () -> volumes.createVolume(named("other").setTemplate("none").build()),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_TEMPLATE_NOT_FOUND);
    assertRefused(
        () -> volumes.createVolume(bootable("copy").setSource("data").build()),
        Status.Code.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_VOLUME_NOT_BOOTABLE);
    assertThat(mesh.node.started).isEmpty();
  }

  @Test
  void anothersVolumeIsNobodysDisk() {
    var _ = volumes.createVolume(bootable("disk").build());
    var other = mesh.sandboxes(mesh.token("other", Mesh.ALL_SCOPES));
    for (CreateSandboxRequest.Builder create :
        List.of(booting("/", "disk"), CreateSandboxRequest.newBuilder().setDiskSource("disk"))) {
      assertRefused(
          () -> other.createSandbox(create.build()),
          Status.Code.NOT_FOUND,
          ErrorReason.ERROR_REASON_VOLUME_NOT_FOUND);
    }
  }

  @Test
  void whileADiskBeginsAsACopyNoSandboxGetsTheVolume() throws Exception {
    var _ = volumes.createVolume(bootable("disk").setSizeMib(512).build());
    String id = mesh.node.volumes.keySet().iterator().next();
    var _ = volumes.createVolume(named("copy").setSource("disk").build());
    assertThat(volumes.getVolume(volume("copy")).getTemplate())
        .as("as its source")
        .isEqualTo("debian");
    CreateSandboxRequest create =
        CreateSandboxRequest.newBuilder()
            .setDiskSource("disk")
            .setSize(SandboxSize.newBuilder().setDiskMib(1024))
            .build();
    CountDownLatch arrived = new CountDownLatch(2);
    CountDownLatch go = new CountDownLatch(1);
    mesh.node.hook = holding("StartSandbox", arrived, go);
    List<CompletableFuture<Sandbox>> starting = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      starting.add(
          CompletableFuture.supplyAsync(
              () -> acme.createSandbox(create), Thread::startVirtualThread));
    }
    await(arrived);
    assertInUse(() -> with("/", "disk"));
    go.countDown();
    for (CompletableFuture<Sandbox> one : starting) {
      assertThat(one).succeedsWithin(Mesh.PATIENCE_S, TimeUnit.SECONDS);
      assertThat(one.join().getVolumesMap()).isEmpty();
      assertThat(one.join().getSize().getDiskMib()).isEqualTo(1024);
    }
    assertThat(mesh.node.started).hasSize(2).allMatch(start -> start.getDiskSource().equals(id));
    // Nor does a sandbox that did not start keep it.
    mesh.node.hook =
        called -> {
          if (called.equals("StartSandbox")) {
            throw new Refusal(ErrorReason.ERROR_REASON_SANDBOX_START_FAILED, "no");
          }
        };
    assertThat(catchThrowable(() -> acme.createSandbox(create))).isNotNull();
    mesh.node.hook = _ -> {};
    assertThat(with("/", "disk").getVolumesMap()).hasSize(1);
    assertInUse(() -> acme.createSandbox(create));
  }

  private static CreateSandboxRequest.Builder booting(String directory, String volume) {
    return CreateSandboxRequest.newBuilder().putVolumes(directory, volume);
  }

  private static CreateVolumeRequest.Builder bootable(String name) {
    return named(name).setTemplate("debian");
  }

  private void restart() throws Exception {
    mesh.stop();
    mesh.start();
    acme = mesh.sandboxes(token);
    volumes = mesh.volumes(token);
  }

  private static FakeBroker.Hook holding(String method, CountDownLatch arrived, CountDownLatch go) {
    return called -> {
      if (called.equals(method)) {
        arrived.countDown();
        await(go);
      }
    };
  }

  private Sandbox with(String directory, String volume) {
    return acme.createSandbox(
        CreateSandboxRequest.newBuilder().putVolumes(directory, volume).build());
  }

  private static void assertInUse(ThrowingCallable call) {
    assertRefused(call, Status.Code.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_VOLUME_IN_USE);
  }

  private static CreateVolumeRequest.Builder named(String name) {
    return CreateVolumeRequest.newBuilder().setName(name);
  }

  private static GetVolumeRequest volume(String name) {
    return GetVolumeRequest.newBuilder().setName(name).build();
  }

  private static dev.cofferdam.v1.GetSandboxRequest get(Sandbox sandbox) {
    return MeshTest.get(sandbox.getId());
  }

  private static DeleteVolumeRequest deletion(String name) {
    return DeleteVolumeRequest.newBuilder().setName(name).build();
  }
}
