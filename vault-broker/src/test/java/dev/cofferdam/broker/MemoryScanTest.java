package dev.cofferdam.broker;

import static dev.cofferdam.broker.TestBroker.grants;
import static org.assertj.core.api.Assertions.assertThat;

import com.google.protobuf.ByteString;
import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.internal.v1.CreateGrantsResponse;
import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.RotateSecretRequest;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * A broker in a process of its own, used and then left alone, is searched through and through: heap
 * with all its garbage, native memory, stacks. Nothing may be left, of ours or of a library's.
 *
 * <p>Our code keeps values in native memory alone and zeroes it, and gives Tink shares. Netty takes
 * its buffers from an allocator of ours that zeroes them. BoringSSL keeps the last record of an
 * open connection and frees it as it is; {@link ChildBroker} runs the broker so that freed memory
 * is overwritten.
 */
@EnabledOnOs(OS.LINUX)
class MemoryScanTest {
  @Test
  void afterUseNoCopyIsLeft(@TempDir Path directory) throws Exception {
    // Different in every run and never one string in this test's own reports.
    String first = canary(new Random());
    String second = canary(new Random());
    try (TestPostgres postgres = TestPostgres.start();
        TestBroker broker =
            new TestBroker(directory, postgres, Map.of("value.cache-ttl", "200ms"));
        ChildBroker child = ChildBroker.start(directory, broker)) {
      use(broker, child, first, second);
      child.awaitNoCachedValues();
      broker.closeClients();
      child.closeClients();
      assertThat(child.leftOf(List.of(first, second))).isEmpty();
      assertThat(child.log())
          .as("the log")
          .contains("service_started")
          .doesNotContain("canary-", "cf_token-of-");
      assertThat(child.search(List.of("cofferdam_broker_cached_values")))
          .as("the search finds what is there")
          .isNotEmpty();
    }
  }

  static String canary(Random random) {
    StringBuilder text = new StringBuilder("canary-");
    for (int i = 0; i < 40; i++) {
      text.append(Character.forDigit(random.nextInt(36), 36));
    }
    return text.toString();
  }

  private static void use(TestBroker broker, ChildBroker child, String first, String second) {
    String secretsToken = broker.secretsToken("acme");
    String apiToken = broker.apiToken("acme");
    var secrets = child.secrets(secretsToken);
    var _ = secrets.putSecret(TestBroker.put("api-key", first).build());
    String sandbox = broker.newSandbox();
    CreateGrantsResponse granted =
        child.scheduler(apiToken).createGrants(grants(sandbox, "api-key"));
    var gateway = child.gateway("g1");
    var _ = gateway.redeemTicket(TestBroker.redeem(granted.getAttachTicket(), TestBroker.SLOT));
    Attached attached =
        new Attached(
            sandbox,
            TestBroker.SLOT,
            granted.getGeneration(),
            granted.getPlaceholders(0).getPlaceholder(),
            apiToken,
            secretsToken);
    for (int i = 0; i < 50; i++) {
      assertThat(TestBroker.texts(gateway.materialize(attached.request().build())))
          .containsExactly(first);
    }
    var _ =
        secrets.rotateSecret(
            RotateSecretRequest.newBuilder()
                .setName("api-key")
                .setValue(ByteString.copyFromUtf8(second))
                .build());
    for (int i = 0; i < 50; i++) {
      assertThat(TestBroker.texts(gateway.materialize(attached.request().build())))
          .containsExactly(second);
    }
  }
}
