package dev.cofferdam.loadtest;

import com.google.protobuf.ByteString;
import dev.cofferdam.v1.RegisterTokenRequest;
import dev.cofferdam.v1.TokenServiceGrpc;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/** A second tenant of the mesh under test, made as its operator makes one. */
final class OtherTenant {
  private static final List<String> API_SCOPES =
      List.of("sandboxes:read", "sandboxes:write", "exec", "files", "secrets:use");
  private static final List<String> SECRETS_SCOPES = List.of("secrets:read", "secrets:write");
  private static final String ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
  private static final long CALL_SECONDS = 30;

  private final Map<String, String> environment;
  private final Path operator;
  private final SecureRandom random = new SecureRandom();

  private OtherTenant(Map<String, String> environment) {
    this.environment = environment;
    this.operator = Path.of(Api.required(environment, "COFFERDAM_STATE")).resolve("operator");
  }

  /** The variables with its tokens in place of the first tenant's. */
  static Map<String, String> registered(Map<String, String> environment) throws IOException {
    return new OtherTenant(environment).register();
  }

  private Map<String, String> register() throws IOException {
    String tenant = "load-" + characters(8);
    String api = token();
    String secrets = token();
    register("COFFERDAM_BROKER", tenant, api, API_SCOPES);
    register("COFFERDAM_API", tenant, api, API_SCOPES);
    register("COFFERDAM_BROKER", tenant, secrets, SECRETS_SCOPES);
    Map<String, String> its = new HashMap<>(environment);
    its.put("COFFERDAM_TOKEN", api);
    its.put("COFFERDAM_SECRETS_TOKEN", secrets);
    return its;
  }

  private String token() {
    return "cfd_tk-%s_%s".formatted(characters(16), characters(52));
  }

  private String characters(int count) {
    return random
        .ints(count, 0, ALPHABET.length())
        .mapToObj(at -> String.valueOf(ALPHABET.charAt(at)))
        .collect(Collectors.joining());
  }

  private void register(String service, String tenant, String token, List<String> scopes)
      throws IOException {
    ManagedChannel channel =
        Grpc.newChannelBuilder(
                Api.required(environment, service),
                TlsChannelCredentials.newBuilder()
                    .keyManager(
                        operator.resolve("operator.pem").toFile(),
                        operator.resolve("operator.key").toFile())
                    .trustManager(Path.of(Api.required(environment, "COFFERDAM_CA")).toFile())
                    .build())
            .build();
    try {
      var _ =
          TokenServiceGrpc.newBlockingStub(channel)
              .withDeadlineAfter(CALL_SECONDS, TimeUnit.SECONDS)
              .registerToken(
                  RegisterTokenRequest.newBuilder()
                      .setId(token.split("_", 3)[1])
                      .setTenant(tenant)
                      .addAllScopes(scopes)
                      .setSha256(
                          ByteString.copyFrom(
                              MessageDigest.getInstance("SHA-256")
                                  .digest(token.getBytes(StandardCharsets.US_ASCII))))
                      .build());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    } finally {
      channel.shutdownNow();
    }
  }
}
