package dev.cofferdam.deploy.mesh;

import com.google.protobuf.ByteString;
import dev.cofferdam.cli.ApiToken;
import dev.cofferdam.deploy.account.OwnedFiles;
import dev.cofferdam.v1.ListTokensRequest;
import dev.cofferdam.v1.RegisterTokenRequest;
import dev.cofferdam.v1.Token;
import dev.cofferdam.v1.TokenServiceGrpc;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/**
 * The tenant {@code default} with its two tokens. The services learn hashes; the strings lie in
 * root's files. A token with {@code secrets:write} is told to the broker alone.
 */
public final class DefaultTenant {
  public static final String NAME = "default";

  private final Path tokens;
  private final OperatorChannels operator;
  private final SecureRandom random;

  public DefaultTenant(Path tokens, OperatorChannels operator, SecureRandom random) {
    this.tokens = tokens;
    this.operator = operator;
    this.random = random;
  }

  /** Makes what is missing, in the files and at the services. */
  public void ensure() throws IOException {
    OwnedFiles.directory(tokens, "rwx------");
    ApiToken api = token("api");
    ApiToken secrets = token("secrets");
    try (OperatorChannels.Open broker = operator.broker();
        OperatorChannels.Open scheduler = operator.scheduler()) {
      register(broker.channel(), api, ApiToken.API_SCOPES);
      register(scheduler.channel(), api, ApiToken.API_SCOPES);
      register(broker.channel(), secrets, ApiToken.SECRETS_SCOPES);
    } catch (StatusRuntimeException e) {
      throw new IOException("cannot register the default tenant's tokens: " + e.getStatus(), e);
    }
  }

  private ApiToken token(String name) throws IOException {
    Path file = tokens.resolve(name);
    if (Files.exists(file)) {
      return ApiToken.parse(Files.readString(file));
    }
    ApiToken fresh = ApiToken.generate(random);
    OwnedFiles.write(file, fresh.text() + "\n", "rw-------");
    return fresh;
  }

  private static void register(ManagedChannel channel, ApiToken token, Set<String> scopes) {
    TokenServiceGrpc.TokenServiceBlockingStub stub =
        TokenServiceGrpc.newBlockingStub(channel).withDeadlineAfter(10, TimeUnit.SECONDS);
    boolean known =
        stub
            .listTokens(ListTokensRequest.newBuilder().setTenant(NAME).build())
            .getTokensList()
            .stream()
            .map(Token::getId)
            .anyMatch(token.id()::equals);
    if (!known) {
      var _ =
          stub.registerToken(
              RegisterTokenRequest.newBuilder()
                  .setId(token.id())
                  .setTenant(NAME)
                  .addAllScopes(scopes.stream().sorted().toList())
                  .setSha256(ByteString.copyFrom(token.sha256()))
                  .build());
    }
  }
}
