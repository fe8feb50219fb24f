package dev.cofferdam.edge.sandbox;

import com.google.protobuf.Duration;
import dev.cofferdam.edge.mesh.Tenant;
import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.edge.secret.CarriedConfig;
import dev.cofferdam.edge.volume.Snapshots;
import dev.cofferdam.kit.call.RandomLetters;
import dev.cofferdam.v1.CreatePortKeyRequest;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.DeleteSandboxRequest;
import dev.cofferdam.v1.ExtendSandboxRequest;
import dev.cofferdam.v1.GetSandboxRequest;
import dev.cofferdam.v1.ListSandboxesRequest;
import dev.cofferdam.v1.ListSandboxesResponse;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SandboxSize;
import dev.cofferdam.v1.SandboxState;
import dev.cofferdam.v1.SecretReference;
import dev.cofferdam.v1.TimeoutAction;
import io.grpc.StatusException;
import java.security.SecureRandom;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Creating, finding, extending and ending sandboxes as the SDKs ask for it. */
public final class Sandboxes {
  /** Labels by which a sandbox is known again; nothing of them is kept here. */
  static final String CREATE = CreateOptions.RESERVED + "create";

  private static final String SECRETS = CreateOptions.RESERVED + "secrets";
  private static final String REGION = CreateOptions.RESERVED + "region";
  private static final Logger log = LoggerFactory.getLogger(Sandboxes.class);

  private final CarriedSecrets secrets;
  private final Snapshots snapshots;
  private final SecureRandom random;
  private final InstantSource clock;
  private final String region;
  private final java.time.Duration lease;
  private final int unnamedMemory;
  private final boolean ssh;

  /**
   * @param region of sandboxes whose create names none, three letters
   * @param lease how long a sandbox that ends with its socket outlives an edge that is gone
   * @param unnamedMemory MiB that mean no size was named; -1: none do
   * @param ssh whether it is served
   */
  public Sandboxes(
      Snapshots snapshots,
      SecureRandom random,
      InstantSource clock,
      String region,
      java.time.Duration lease,
      int unnamedMemory,
      boolean ssh) {
    this.secrets = new CarriedSecrets(clock);
    this.snapshots = snapshots;
    this.random = random;
    this.clock = clock;
    this.region = region;
    this.lease = lease;
    this.unnamedMemory = unnamedMemory;
    this.ssh = ssh;
  }

  /**
   * A sandbox that a socket is for.
   *
   * @param foreignId as the SDK knows it
   * @param endsWithSession whether it is deleted when this socket ends
   */
  public record Opened(Sandbox sandbox, String foreignId, boolean endsWithSession) {}

  /**
   * @param config its values are put to the broker first; stays its owner's to close
   */
  public Opened create(Tenant tenant, CarriedConfig config) throws HttpError {
    CreateOptions options =
        CreateOptions.parse(config.text(), config.values().size(), clock.instant(), unnamedMemory);
    if (options.ssh() && !ssh) {
      throw HttpError.notServed("SSH");
    }
    String create = createId();
    CreateSandboxRequest.Builder request = request(options, create);
    if (options.root().isPresent()) {
      snapshots.boot(tenant, options.root().get(), request);
    }
    List<SecretReference> references =
        secrets.put(tenant, create, options.secrets(), config.values());
    boolean created = false;
    try {
      Sandbox sandbox = tenant.creating().createSandbox(request.addAllSecrets(references).build());
      created = true;
      if (options.port().isPresent()) {
        makePublic(tenant, sandbox, options.port().get());
      }
      return new Opened(sandbox, foreignId(sandbox), options.lifetime().isEmpty());
    } catch (StatusException e) {
      throw HttpError.of(e);
    } finally {
      if (!created) {
        secrets.forget(tenant, create, references.size());
      }
    }
  }

  /** A sandbox that is not as it was asked for is none. */
  private void makePublic(Tenant tenant, Sandbox sandbox, int port) throws HttpError {
    boolean made = false;
    try {
      // Under the URL that says its port and its sandbox: the SDK that asks shows no other.
      var _ =
          tenant
              .portKeys()
              .createPortKey(
                  CreatePortKeyRequest.newBuilder()
                      .setSandbox(sandbox.getId())
                      .setPort(port)
                      .setPublic(true)
                      .build());
      made = true;
    } catch (StatusException e) {
      HttpError why = HttpError.of(e);
      throw new HttpError(
          why.status(),
          why.code(),
          "no sandbox was made, for its port %d could not be made public: %s"
              .formatted(port, why.getMessage()));
    } finally {
      if (!made) {
        end(tenant, sandbox);
      }
    }
  }

  private CreateSandboxRequest.Builder request(CreateOptions options, String create)
      throws HttpError {
    return CreateSandboxRequest.newBuilder()
        // A repeated connection attempt of the transport's makes no second one.
        .setRequestId(create)
        .setSize(SandboxSize.newBuilder().setMemoryMib(options.memoryMib()))
        .putAllEnv(options.env())
        .putAllLabels(options.labels())
        .putLabels(CREATE, create)
        .putLabels(SECRETS, Integer.toString(options.secrets().size()))
        .putLabels(REGION, options.region().orElse(region))
        .setEgressPolicy(AllowNet.policy(options.hosts()))
        .setLifetime(proto(options.lifetime().orElse(lease)))
        .setTimeoutAction(TimeoutAction.TIMEOUT_ACTION_DELETE)
        .putAllVolumes(options.volumes());
  }

  private String createId() {
    return RandomLetters.next(16, random);
  }

  /** For those that have secrets: what was left of others is forgotten. */
  public void sweep(Tenant tenant) {
    secrets.sweep(tenant);
  }

  public Opened find(Tenant tenant, String foreignId) throws HttpError {
    Sandbox sandbox = get(tenant, foreignId);
    if (sandbox.getState() == SandboxState.SANDBOX_STATE_ENDED
        || sandbox.getState() == SandboxState.SANDBOX_STATE_STOPPING) {
      throw HttpError.sandboxNotFound(foreignId);
    }
    return new Opened(sandbox, foreignId(sandbox), false);
  }

  private static Sandbox get(Tenant tenant, String foreignId) throws HttpError {
    String id = SandboxIds.own(foreignId);
    try {
      return tenant.sandboxes().getSandbox(GetSandboxRequest.newBuilder().setSandbox(id).build());
    } catch (StatusException e) {
      HttpError error = HttpError.of(e);
      throw error.status() == 404 ? HttpError.sandboxNotFound(foreignId) : error;
    }
  }

  private String foreignId(Sandbox sandbox) {
    return SandboxIds.foreign(region(sandbox).substring(0, 3), sandbox.getId());
  }

  private String region(Sandbox sandbox) {
    String named = sandbox.getLabelsOrDefault(REGION, region);
    return named.matches("[a-z]{3}[0-9]?") ? named : region;
  }

  /** One of a list. */
  public record Listed(
      String foreignId, String region, Instant created, boolean running, Instant ended) {}

  /**
   * @param next names the following page; empty on the last
   */
  public record Page(List<Listed> sandboxes, String next) {}

  /** Newest first, those that have ended too. */
  public Page list(Tenant tenant, Map<String, String> labels, String cursor, int size)
      throws HttpError {
    try {
      ListSandboxesResponse page =
          tenant
              .sandboxes()
              .listSandboxes(
                  ListSandboxesRequest.newBuilder()
                      .putAllLabelFilter(labels)
                      .setPageSize(size)
                      .setPageToken(cursor)
                      .setShowEnded(true)
                      .build());
      return new Page(
          page.getSandboxesList().stream().map(this::listed).toList(), page.getNextPageToken());
    } catch (StatusException e) {
      throw HttpError.of(e);
    }
  }

  private Listed listed(Sandbox sandbox) {
    return new Listed(
        foreignId(sandbox),
        region(sandbox),
        instant(sandbox.getCreateTime()),
        sandbox.getState() != SandboxState.SANDBOX_STATE_ENDED,
        instant(sandbox.getEndTime()));
  }

  private static Instant instant(com.google.protobuf.Timestamp time) {
    return Instant.ofEpochSecond(time.getSeconds(), time.getNanos());
  }

  /** Answers the moment at which it will end. */
  public Instant extend(Tenant tenant, String foreignId, long stopAtMillis) throws HttpError {
    String id = SandboxIds.own(foreignId);
    try {
      Sandbox sandbox =
          tenant
              .sandboxes()
              .extendSandbox(
                  ExtendSandboxRequest.newBuilder()
                      .setSandbox(id)
                      .setLifetime(proto(CreateOptions.until(stopAtMillis, clock.instant())))
                      .build());
      return instant(sandbox.getExpireTime());
    } catch (StatusException e) {
      HttpError error = HttpError.of(e);
      throw error.status() == 404 ? HttpError.sandboxNotFound(foreignId) : error;
    }
  }

  /** For one that ends with its socket, while that is open. */
  public void renew(Tenant tenant, Sandbox sandbox) throws StatusException {
    var _ =
        tenant
            .sandboxes()
            .extendSandbox(
                ExtendSandboxRequest.newBuilder()
                    .setSandbox(sandbox.getId())
                    .setLifetime(proto(lease))
                    .build());
  }

  public java.time.Duration lease() {
    return lease;
  }

  public void kill(Tenant tenant, String foreignId) throws HttpError {
    Sandbox sandbox = get(tenant, foreignId);
    try {
      delete(tenant, sandbox);
    } catch (StatusException e) {
      throw HttpError.of(e);
    }
    forgetSecrets(tenant, sandbox);
  }

  /** As well as can be: what fails here the lease's end does. */
  public void end(Tenant tenant, Sandbox sandbox) {
    try {
      delete(tenant, sandbox);
    } catch (StatusException e) {
      log.atWarn()
          .setMessage("sandbox_left")
          .addKeyValue("sandbox", sandbox.getId())
          .addKeyValue("status", e.getStatus().getCode())
          .log();
    }
    forgetSecrets(tenant, sandbox);
  }

  private static void delete(Tenant tenant, Sandbox sandbox) throws StatusException {
    var _ =
        tenant
            .sandboxes()
            .deleteSandbox(DeleteSandboxRequest.newBuilder().setSandbox(sandbox.getId()).build());
  }

  /** Of one that has ended. */
  public void forgetSecrets(Tenant tenant, Sandbox sandbox) {
    String create = sandbox.getLabelsOrDefault(CREATE, "");
    String count = sandbox.getLabelsOrDefault(SECRETS, "");
    if (create.matches("[a-z2-7]{16}") && count.matches("[0-9]{1,2}")) {
      secrets.forget(tenant, create, Integer.parseInt(count));
    }
  }

  private static Duration proto(java.time.Duration duration) {
    return Duration.newBuilder()
        .setSeconds(duration.getSeconds())
        .setNanos(duration.getNano())
        .build();
  }
}
