package dev.cofferdam.edge.sandbox;

import dev.cofferdam.edge.mesh.Tenant;
import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.edge.sandbox.CreateOptions.SecretHosts;
import dev.cofferdam.edge.secret.HeldValue;
import dev.cofferdam.edge.secret.SecretPut;
import dev.cofferdam.v1.DeleteSecretRequest;
import dev.cofferdam.v1.ListSandboxesRequest;
import dev.cofferdam.v1.ListSecretsRequest;
import dev.cofferdam.v1.ListSecretsResponse;
import dev.cofferdam.v1.PlaceholderAlphabet;
import dev.cofferdam.v1.PlaceholderShape;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.Secret;
import dev.cofferdam.v1.SecretBinding;
import dev.cofferdam.v1.SecretReference;
import dev.cofferdam.v1.SecretServiceGrpc;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Secrets that came with a create. Each belongs to one sandbox: it is put to the broker before
 * there is one, under a name that the sandbox's label tells, and forgotten with it.
 */
final class CarriedSecrets {
  private static final String PREFIX = "deno-";

  /** The broker takes a shorter value only as a weak one, and blocks answers that contain it. */
  private static final int WEAK = 16;

  /** A create that puts secrets has made its sandbox, or has failed, long before. */
  private static final Duration ABANDONED = Duration.ofMinutes(10);

  /** As the makers of the SDKs show it, so that programs that look for it find it. */
  private static final PlaceholderShape SHAPE =
      PlaceholderShape.newBuilder()
          .setPrefix("DENO_SECRET_PLACEHOLDER_")
          .setAlphabet(PlaceholderAlphabet.PLACEHOLDER_ALPHABET_HEX)
          .setLength(88)
          .build();

  private static final long SECONDS = 30;
  private static final Logger log = LoggerFactory.getLogger(CarriedSecrets.class);

  private final InstantSource clock;

  CarriedSecrets(InstantSource clock) {
    this.clock = clock;
  }

  private static String name(String create, int index) {
    return PREFIX + create + "-" + index;
  }

  private static Channel broker(Tenant tenant) throws HttpError {
    return tenant
        .secrets()
        .orElseThrow(() ->
            new HttpError(
                403,
                "SECRETS_TOKEN_MISSING",
                "secrets need a token of the form ddo_<token>.<secrets token>"));
  }

  private static SecretServiceGrpc.SecretServiceBlockingV2Stub stub(Channel broker) {
    return SecretServiceGrpc.newBlockingV2Stub(broker).withDeadlineAfter(SECONDS, TimeUnit.SECONDS);
  }

  /**
   * All or none.
   *
   * @param create tells this create's secrets from all others
   */
  List<SecretReference> put(
      Tenant tenant, String create, Map<String, SecretHosts> secrets, List<HeldValue> values)
      throws HttpError {
    List<SecretReference> references = new ArrayList<>();
    if (secrets.isEmpty()) {
      return references;
    }
    Channel broker = broker(tenant);
    boolean whole = false;
    try {
      Iterator<HeldValue> value = values.iterator();
      for (Map.Entry<String, SecretHosts> secret : secrets.entrySet()) {
        String name = name(create, references.size());
        put(broker, name, secret.getValue(), value.next());
        references.add(
            SecretReference.newBuilder().setSecret(name).setEnv(secret.getKey()).build());
      }
      whole = true;
      return references;
    } catch (StatusRuntimeException e) {
      throw HttpError.of(e);
    } finally {
      if (!whole) {
        forget(tenant, create, references.size() + 1);
      }
    }
  }

  private static void put(Channel broker, String name, SecretHosts hosts, HeldValue value) {
    PutSecretRequest rest =
        PutSecretRequest.newBuilder()
            .setName(name)
            .addBindings(
                SecretBinding.newBuilder()
                    .addAllHosts(
                        hosts.hosts().stream().map(host -> host.toLowerCase(Locale.ROOT)).toList())
                    // The SDKs name no target.
                    .addTargets("header:*"))
            .setWeak(value.length() < WEAK)
            .setShape(SHAPE)
            .build();
    var _ =
        ClientCalls.blockingUnaryCall(
            broker,
            SecretPut.method(),
            CallOptions.DEFAULT.withDeadlineAfter(SECONDS, TimeUnit.SECONDS),
            new SecretPut(rest, value));
  }

  /** What cannot be forgotten now a later create of the tenant's sweeps away. */
  void forget(Tenant tenant, String create, int count) {
    if (tenant.secrets().isEmpty()) {
      return;
    }
    for (int i = 0; i < count; i++) {
      delete(tenant.secrets().get(), name(create, i));
    }
  }

  private static void delete(Channel broker, String name) {
    try {
      var _ = stub(broker).deleteSecret(DeleteSecretRequest.newBuilder().setName(name).build());
    } catch (StatusException e) {
      log.atInfo().setMessage("secret_left").addKeyValue("status", e.getStatus().getCode()).log();
    }
  }

  /** Forgets the secrets of sandboxes that ended while no session of theirs was here to see it. */
  void sweep(Tenant tenant) {
    if (tenant.secrets().isEmpty()) {
      return;
    }
    try {
      Channel broker = tenant.secrets().get();
      for (String name : old(broker)) {
        String create = name.substring(PREFIX.length(), name.lastIndexOf('-'));
        if (!lives(tenant, create)) {
          delete(broker, name);
        }
      }
    } catch (StatusException e) {
      log.atInfo().setMessage("sweep_failed").addKeyValue("status", e.getStatus().getCode()).log();
    }
  }

  private Set<String> old(Channel broker) throws StatusException {
    Instant before = clock.instant().minus(ABANDONED);
    Set<String> names = new HashSet<>();
    ListSecretsRequest.Builder request = ListSecretsRequest.newBuilder().setPageSize(1000);
    do {
      ListSecretsResponse page = stub(broker).listSecrets(request.build());
      for (Secret secret : page.getSecretsList()) {
        if (secret.getName().matches(PREFIX + "[a-z2-7]{16}-[0-9]+")
            && secret.getCreateTime().getSeconds() < before.getEpochSecond()) {
          names.add(secret.getName());
        }
      }
      request.setPageToken(page.getNextPageToken());
    } while (!request.getPageToken().isEmpty());
    return names;
  }

  private static boolean lives(Tenant tenant, String create) throws StatusException {
    return tenant
            .sandboxes()
            .listSandboxes(
                ListSandboxesRequest.newBuilder()
                    .setPageSize(1)
                    .putLabelFilter(Sandboxes.CREATE, create)
                    .build())
            .getSandboxesCount()
        > 0;
  }
}
