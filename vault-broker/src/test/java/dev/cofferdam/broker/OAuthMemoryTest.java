package dev.cofferdam.broker;

import static dev.cofferdam.broker.TestBroker.grants;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.broker.oauth.TokenServer;
import dev.cofferdam.internal.v1.CreateGrantsResponse;
import dev.cofferdam.testkit.TestCertificates;
import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.ClientAuthentication;
import dev.cofferdam.v1.DeleteSecretRequest;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** As {@link MemoryScanTest}, of a client's secret and of the access token that was fetched. */
@EnabledOnOs(OS.LINUX)
class OAuthMemoryTest {
  private static final ClientAuthentication BASIC =
      ClientAuthentication.CLIENT_AUTHENTICATION_BASIC;
  private static final ClientAuthentication POST = ClientAuthentication.CLIENT_AUTHENTICATION_POST;

  @Test
  void ofNeitherACopyIsLeft(@TempDir Path directory) throws Exception {
    List<String> texts =
        Stream.generate(() -> MemoryScanTest.canary(new Random())).limit(4).toList();
    TestCertificates certificates =
        TestCertificates.in(Files.createDirectory(directory.resolve("outside")));
    Map<String, String> settings =
        new TreeMap<>(OAuthSecretTest.settings(directory, certificates.authorityFile()));
    settings.put("value.cache-ttl", "200ms");
    try (TestPostgres postgres = TestPostgres.start();
        TokenServer server = new TokenServer(certificates.peer("login", "l1"));
        TestBroker broker = new TestBroker(directory, postgres, settings);
        ChildBroker child = ChildBroker.start(directory, broker)) {
      use(broker, child, server, BASIC, texts.get(0), texts.get(1));
      use(broker, child, server, POST, texts.get(2), texts.get(3));
      assertThat(child.search(List.of(texts.get(3)))).as("it finds what is kept").isNotEmpty();
      var _ =
          child
              .secrets(broker.secretsToken("acme"))
              .deleteSecret(DeleteSecretRequest.newBuilder().setName("client").build());
      child.awaitNoCachedValues();
      broker.closeClients();
      child.closeClients();
      assertThat(child.leftOf(texts)).isEmpty();
      assertThat(child.log()).doesNotContain("canary-");
    }
  }

  private static void use(
      TestBroker broker,
      ChildBroker child,
      TokenServer server,
      ClientAuthentication authentication,
      String secret,
      String token) {
    server.answer = TokenServer.token(token, 3600);
    var put = OAuthSecretTest.put(server, secret).setReplace(true);
    put.getOauthBuilder().setAuthentication(authentication);
    var _ = child.secrets(broker.secretsToken("acme")).putSecret(put.build());
    String sandbox = broker.newSandbox();
    String slot = broker.nextSlot();
    String apiToken = broker.apiToken("acme");
    CreateGrantsResponse granted =
        child.scheduler(apiToken).createGrants(grants(sandbox, "client"));
    var gateway = child.gateway("g1");
    var _ = gateway.redeemTicket(TestBroker.redeem(granted.getAttachTicket(), slot));
    Attached attached =
        new Attached(
            sandbox,
            slot,
            granted.getGeneration(),
            granted.getPlaceholders(0).getPlaceholder(),
            apiToken,
            "");
    for (int i = 0; i < 20; i++) {
      assertThat(TestBroker.texts(gateway.materialize(attached.request().build())))
          .containsExactly(token);
    }
  }
}
