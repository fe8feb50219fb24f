package dev.cofferdam.scheduler;

import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.DeleteSandboxRequest;
import dev.cofferdam.v1.GetSandboxRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxEvent;
import dev.cofferdam.v1.SandboxEventType;
import dev.cofferdam.v1.SandboxServiceGrpc.SandboxServiceBlockingStub;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.WatchSandboxEventsRequest;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A mesh for each test, with one connected node and a token of the tenant {@code acme}. */
abstract class MeshTest {
  static TestPostgres postgres;

  @TempDir Path directory;
  Mesh mesh;
  String token;
  SandboxServiceBlockingStub acme;

  /** On top of what a mesh needs. */
  Map<String, String> settings() {
    return Map.of();
  }

  @BeforeAll
  static void startDatabase() {
    postgres = TestPostgres.start();
  }

  @AfterAll
  static void stopDatabase() {
    postgres.close();
  }

  @BeforeEach
  void start() throws Exception {
    mesh = new Mesh(directory, postgres, settings());
    mesh.start();
    var _ = mesh.connect();
    token = mesh.token("acme", Mesh.ALL_SCOPES);
    acme = mesh.sandboxes(token);
  }

  @AfterEach
  void stop() {
    mesh.close();
  }

  List<SandboxEventType> events(String id) {
    List<SandboxEventType> types = new ArrayList<>();
    acme.watchSandboxEvents(WatchSandboxEventsRequest.newBuilder().setSandbox(id).build())
        .forEachRemaining(event -> types.add(event.getType()));
    return types;
  }

  void awaitEvent(String id, SandboxEventType type) {
    Iterator<SandboxEvent> events =
        acme.watchSandboxEvents(
            WatchSandboxEventsRequest.newBuilder().setSandbox(id).setFollow(true).build());
    while (events.next().getType() != type) {
      // Until it comes, or the call's deadline ends the test.
    }
  }

  /** Nothing is told of a sandbox that begins to stop, so this asks again and again. */
  void awaitState(String id, SandboxState expected) {
    while (state(id) != expected) {
      LockSupport.parkNanos(1_000_000);
    }
  }

  static void await(CountDownLatch latch) {
    try {
      if (!latch.await(Mesh.PATIENCE_S, TimeUnit.SECONDS)) {
        throw new AssertionError("did not happen");
      }
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  static void awaitCall(List<String> calls, String call) {
    awaitTrue(() -> calls.contains(call));
  }

  /** For what tells nobody when it happens. */
  static void awaitTrue(BooleanSupplier condition) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(Mesh.PATIENCE_S);
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end) {
        throw new AssertionError("did not happen");
      }
      LockSupport.parkNanos(1_000_000);
    }
  }

  static FakeBroker.Hook failing(String method, RuntimeException failure) {
    return called -> {
      if (called.equals(method)) {
        throw failure;
      }
    };
  }

  SandboxState state(String id) {
    return acme.getSandbox(get(id)).getState();
  }

  Sandbox create() {
    return create(acme);
  }

  static Sandbox create(SandboxServiceBlockingStub tenant) {
    return tenant.createSandbox(CreateSandboxRequest.getDefaultInstance());
  }

  static GetSandboxRequest get(String id) {
    return GetSandboxRequest.newBuilder().setSandbox(id).build();
  }

  static DeleteSandboxRequest delete(String id) {
    return DeleteSandboxRequest.newBuilder().setSandbox(id).build();
  }
}
