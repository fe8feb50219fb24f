package dev.cofferdam.broker;

import static dev.cofferdam.broker.TestBroker.grants;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.broker.TestBroker.Attached;
import dev.cofferdam.broker.vault.OpenBao;
import dev.cofferdam.testkit.ProcessMemory;
import dev.cofferdam.testkit.ProcessMemory.Hit;
import dev.cofferdam.testkit.TestPostgres;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * As {@link MemoryScanTest}, with the store whose driver takes and gives strings: what it leaves
 * behind are hexadecimal digits, as garbage of the Java heap and nowhere else.
 */
@EnabledOnOs(OS.LINUX)
class VaultMemoryTest {
  @Test
  void ofOneWriteAndOneReadNothingButGarbageOfTheDriverIsLeft(@TempDir Path directory)
      throws Exception {
    String canary = MemoryScanTest.canary(new Random());
    try (OpenBao bao = OpenBao.startOrSkip(directory);
        TestPostgres postgres = TestPostgres.start();
        TestBroker broker = new TestBroker(directory, postgres, settings(bao));
        ChildBroker child = ChildBroker.start(directory, broker)) {
      ProcessMemory memory = child.memory();
      write(broker, child, canary);
      assertThat(report("after a write", memory, canary)).as("the search finds it").isNotEmpty();
      read(broker, child, canary);
      child.awaitNoCachedValues();
      broker.closeClients();
      child.closeClients();
      assertThat(report("after a read", memory, canary)).as("the search finds it").isNotEmpty();
      memory.collect();
      assertThat(memory.dump(directory, false, List.of(canary))).as("reachable").isEmpty();
      assertThat(leftByOthersThanTheDriver(memory, canary)).isEmpty();
      var _ = report("after a full collection", memory, canary);
    }
  }

  private static Map<String, String> settings(OpenBao bao) {
    return Map.of(
        "value.cache-ttl",
        "200ms",
        "store",
        "vault",
        "vault.address",
        bao.address(),
        "vault.token-file",
        bao.tokenFile().toString());
  }

  /** What docs/SPECIFICATION.md tells of the driver comes from here. */
  private static List<Hit> report(String when, ProcessMemory memory, String canary)
      throws IOException {
    List<Hit> hits = memory.search(List.of(canary));
    System.out.println(
        "Copies of a value in the broker " + when + ": " + ProcessMemory.count(hits));
    return hits;
  }

  /** Waits for connections to end, whose buffers are no garbage until then. */
  private static List<Hit> leftByOthersThanTheDriver(ProcessMemory memory, String canary)
      throws IOException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(TestBroker.PATIENCE_S);
    while (true) {
      List<Hit> hits =
          memory.search(List.of(canary)).stream()
              .filter(hit -> !hit.onHeap() || !hit.encoding().startsWith("hex"))
              .toList();
      if (hits.isEmpty() || System.nanoTime() > end) {
        return hits;
      }
      memory.collect();
    }
  }

  private static void write(TestBroker broker, ChildBroker child, String value) {
    var _ =
        child.secrets(broker.secretsToken("acme")).putSecret(TestBroker.put("key", value).build());
  }

  private static void read(TestBroker broker, ChildBroker child, String value) {
    String apiToken = broker.apiToken("acme");
    String sandbox = broker.newSandbox();
    var granted = child.scheduler(apiToken).createGrants(grants(sandbox, "key"));
    var gateway = child.gateway("g1");
    var _ = gateway.redeemTicket(TestBroker.redeem(granted.getAttachTicket(), TestBroker.SLOT));
    Attached attached =
        new Attached(
            sandbox,
            TestBroker.SLOT,
            granted.getGeneration(),
            granted.getPlaceholders(0).getPlaceholder(),
            apiToken,
            "");
    assertThat(TestBroker.texts(gateway.materialize(attached.request().build())))
        .containsExactly(value);
  }
}
