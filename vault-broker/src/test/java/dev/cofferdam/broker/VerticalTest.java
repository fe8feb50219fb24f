package dev.cofferdam.broker;

import static dev.cofferdam.broker.TestBroker.HOST;
import static dev.cofferdam.broker.TestBroker.VALUE;
import static dev.cofferdam.broker.TestBroker.grants;
import static dev.cofferdam.broker.TestBroker.put;
import static dev.cofferdam.broker.TestBroker.redeem;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.CreateGrantsResponse;
import dev.cofferdam.testkit.TestPostgres;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.ListSecretsRequest;
import dev.cofferdam.v1.Secret;
import dev.cofferdam.v1.Verdict;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The main job, from the tenant's value to the gateway's. */
class VerticalTest {
  @Test
  void aValueGoesFromItsOwnerToOneRequest(@TempDir Path directory) throws Exception {
    try (TestPostgres postgres = TestPostgres.start();
        TestBroker broker = new TestBroker(directory, postgres)) {
      String secretsToken = broker.secretsToken("acme");
      Secret stored = broker.secrets(secretsToken).putSecret(put("api-key", VALUE).build());
      assertThat(stored.getVersion()).isEqualTo(1);
      assertThat(stored.getBindings(0).getTargetsList())
          .containsExactly("header:authorization", "header:x-api-key", "basic:password");
      assertThat(
              broker
                  .secrets(secretsToken)
                  .listSecrets(ListSecretsRequest.getDefaultInstance())
                  .getSecretsList())
          .containsExactly(stored);

      String apiToken = broker.apiToken("acme");
      String sandbox = broker.newSandbox();
      CreateGrantsResponse granted =
          broker.scheduler(apiToken).createGrants(grants(sandbox, "api-key"));
      assertThat(granted.getPlaceholders(0).getEnv()).isEqualTo("API_KEY");
      assertThat(granted.getPlaceholders(0).getPlaceholder()).matches("cofferdam_[0-9A-Za-z]{43}");
      assertThat(granted.getCaCertificate()).startsWith("-----BEGIN CERTIFICATE-----\n");

      Attachment attachment =
          broker.gateway("g1").redeemTicket(redeem(granted.getAttachTicket(), TestBroker.SLOT));
      assertThat(attachment.getSandbox()).isEqualTo(sandbox);
      assertThat(attachment.getTenant()).isEqualTo("acme");
      assertThat(attachment.getSecrets(0).getBindings(0).getHostsList()).containsExactly(HOST);

      TestBroker.Attached attached =
          new TestBroker.Attached(
              sandbox,
              TestBroker.SLOT,
              granted.getGeneration(),
              granted.getPlaceholders(0).getPlaceholder(),
              apiToken,
              secretsToken);
      assertThat(
              TestBroker.texts(
                  broker
                      .gateway("g1")
                      .materialize(
                          attached.request().setPath("/v1/models?key=private#top").build())))
          .containsExactly(VALUE);

      List<AuditEvent> uses =
          broker.events(secretsToken).stream()
              .filter(event -> event.getType() == AuditEventType.AUDIT_EVENT_TYPE_USE)
              .toList();
      assertThat(uses).hasSize(1);
      AuditEvent use = uses.getFirst();
      assertThat(use.getSecret()).isEqualTo("api-key");
      assertThat(use.getHost()).isEqualTo(HOST);
      assertThat(use.getMethod()).isEqualTo("GET");
      assertThat(use.getPath()).isEqualTo("/v1/models");
      assertThat(use.getTarget()).isEqualTo("header:authorization");
      assertThat(use.getVerdict()).isEqualTo(Verdict.VERDICT_ALLOWED);
      assertThat(use.getRequest()).isEqualTo("00112233445566778899aabbccddeeff");
    }
  }
}
