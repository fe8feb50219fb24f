package dev.cofferdam.loadtest;

import com.google.protobuf.ByteString;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.Sandbox;
import dev.cofferdam.v1.SecretBinding;
import dev.cofferdam.v1.SecretReference;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/** A sandbox from whose slot clients speak: see {@link SlotDoor} for what that leaves out. */
final class SpeakingSandbox implements AutoCloseable {
  private static final String GUEST_ROOT = "/usr/local/share/ca-certificates/cofferdam.crt";

  private final Api api;
  private final String id;
  private final Optional<Secret> secret;
  private final Path root;
  private final String address;
  private final SlotDoor door;

  private SpeakingSandbox(
      Api api, String id, Optional<Secret> secret, Path root, String address, SlotDoor door) {
    this.api = api;
    this.id = id;
    this.secret = secret;
    this.root = root;
    this.address = address;
    this.door = door;
  }

  /** One that is bound to one host. */
  record Secret(String name, String value, String placeholder) {}

  /**
   * @param host that its clients will ask
   */
  static SpeakingSandbox plain(Api api, Path state, String host, EgressPolicy policy)
      throws IOException {
    Sandbox sandbox = api.create(CreateSandboxRequest.newBuilder().setEgressPolicy(policy).build());
    return open(api, state, host, sandbox.getId(), Optional.empty());
  }

  /** With a secret that may be used at that host. */
  static SpeakingSandbox withSecret(Api api, Path state, String host, EgressPolicy policy)
      throws IOException {
    byte[] random = new byte[16];
    new SecureRandom().nextBytes(random);
    String value = HexFormat.of().formatHex(random);
    String name = "load-" + HexFormat.of().formatHex(random, 0, 6);
    api.put(
        PutSecretRequest.newBuilder()
            .setName(name)
            .setValue(ByteString.copyFromUtf8(value))
            .addBindings(SecretBinding.newBuilder().addHosts(host))
            .build());
    Sandbox sandbox =
        api.create(
            CreateSandboxRequest.newBuilder()
                .addSecrets(SecretReference.newBuilder().setSecret(name).setEnv("API_KEY"))
                .setEgressPolicy(policy)
                .build());
    String placeholder = api.exec(sandbox.getId(), "printenv", "API_KEY").output().strip();
    return open(
        api, state, host, sandbox.getId(), Optional.of(new Secret(name, value, placeholder)));
  }

  private static SpeakingSandbox open(
      Api api, Path state, String host, String id, Optional<Secret> secret) throws IOException {
    // The synthetic address of the name, as the guest's own resolver gives it.
    String synthetic =
        api.exec(id, "sh", "-c", "getent ahostsv4 " + host + " | head -n 1 | cut -d' ' -f1")
            .output()
            .strip();
    Path root = Files.createTempFile("cofferdam-root", ".pem");
    Files.writeString(root, api.read(id, GUEST_ROOT));
    return new SpeakingSandbox(api, id, secret, root, synthetic, SlotDoor.open(state, id));
  }

  /** The command that runs another one in its slot. */
  List<String> prefix() {
    return door.prefix();
  }

  /** Of the host, as the sandbox knows it. */
  String address() {
    return address;
  }

  /** What it trusts. */
  Path authority() {
    return root;
  }

  /** That has one. */
  Secret secret() {
    return secret.orElseThrow();
  }

  /** With a use of its secret. */
  String authorization() {
    return "--header=Authorization: Bearer " + secret().placeholder();
  }

  @Override
  public void close() throws IOException {
    api.delete(id);
    secret.ifPresent(used -> api.deleteSecret(used.name()));
    Files.deleteIfExists(root);
  }
}
