package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import dev.cofferdam.gateway.placeholder.PlaceholderHash;
import dev.cofferdam.gateway.slot.LeaseWatch;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.GrantedBinding;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.RuleAction;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Path;
import java.security.KeyPair;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What changes while connections are open, and what is relayed or refused below HTTP. */
final class PolicyChangeTest {
  private static final String GET = "GET / HTTP/1.1\r\nHost: api.example.test\r\n\r\n";
  private Harness harness;

  @BeforeEach
  void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, false);
  }

  @AfterEach
  void stop() throws Exception {
    harness.close();
  }

  @AttackRow(48)
  @Test
  void aTightenedPolicyClosesTheConnectionsThatItForbids() throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      assertThat(guest.send(GET).answer().status()).isEqualTo(200);

      harness.policy(Harness.rule("other.example.test", harness.port));

      assertThat(guest.closed()).isTrue();
    }
  }

  /** On a connection that stays, for the host itself stays allowed. */
  @AttackRow(48)
  @Test
  void aNarrowedBindingHoldsForTheNextRequestOfAnOpenConnection() throws Exception {
    String request = GET.replace("\r\n\r\n", "\r\nX-Api-Key: " + Harness.PLACEHOLDER + "\r\n\r\n");
    try (RawGuest one = harness.guest().tls("api.example.test");
        RawGuest two = harness.guest().tls("api.example.test")) {
      assertThat(one.send(request).answer().status()).isEqualTo(200);
      assertThat(two.send(request).answer().status()).isEqualTo(200);

      harness.apply(bound(2, "api.example.test", "header:authorization"));
      assertThat(one.send(request).answer().reason()).isEqualTo("placeholder_outside_target");

      harness.apply(bound(3, "other.example.test", "header:x-api-key"));
      assertThat(two.send(request).answer().reason()).isEqualTo("placeholder_host_not_bound");
    }
    assertThat(harness.upstream.received).hasSize(2);
    assertThat(harness.broker.materialised).hasSize(2);
  }

  private Attachment bound(long revision, String host, String target) {
    Attachment.Builder attachment = Harness.attachment(harness.port).setPolicyRevision(revision);
    attachment
        .getSecretsBuilder(0)
        .clearBindings()
        .addBindings(
            GrantedBinding.newBuilder().addHosts(host).addTargets(target).setOccurrences(1));
    return attachment.build();
  }

  @AttackRow(48)
  @Test
  void aNarrowedPolicyHoldsForTheNextRequestInCleartext() throws Exception {
    try (PlainUpstream plain = new PlainUpstream();
        RawGuest guest = cleartext(plain)) {
      assertThat(guest.send(GET).answer().status()).isEqualTo(200);

      harness.policy(Harness.rule("other.example.test", plain.port()));

      assertThat(guest.send(GET).answer().reason()).isEqualTo("host_not_allowed");
      assertThat(plain.requests()).containsExactly("GET / HTTP/1.1");
    }
  }

  /** Its upstream's connection was a kept one, so that it might be sent anew. */
  @AttackRow(48)
  @Test
  void aRequestUnderWayIsNotSentAgainOnceThePolicyForbidsIt() throws Exception {
    try (PlainUpstream plain = new PlainUpstream();
        RawGuest guest = cleartext(plain)) {
      assertThat(guest.send(GET).answer().status()).isEqualTo(200);
      guest.send(GET.replace("GET /", "GET /held"));
      plain.await("GET /held HTTP/1.1");

      harness.policy(Harness.rule("other.example.test", plain.port()));

      assertThat(guest.answer().reason()).isEqualTo("host_not_allowed");
      assertThat(plain.requests()).containsExactly("GET / HTTP/1.1", "GET /held HTTP/1.1");
      assertThat(plain.connections()).isEqualTo(1);
    }
  }

  /** It began without the word that such a request now needs. */
  @AttackRow(48)
  @Test
  void aRequestUnderWayEndsWhenItsRuleComesToAskForAnApproval() throws Exception {
    try (PlainUpstream plain = new PlainUpstream();
        RawGuest guest = cleartext(plain)) {
      guest.send(GET.replace("GET /", "GET /held"));
      plain.await("GET /held HTTP/1.1");

      harness.policy(
          Harness.rule("api.example.test", plain.port()).toBuilder()
              .setAction(RuleAction.RULE_ACTION_APPROVE)
              .build());

      assertThat(guest.answer().reason()).isEqualTo("request_not_allowed");
    }
  }

  @AttackRow(32)
  @Test
  void anUpstreamThatLeavesHttpUnaskedIsNotFollowed() throws Exception {
    try (PlainUpstream plain = new PlainUpstream();
        RawGuest guest = cleartext(plain)) {
      Answer answer = guest.send(GET.replace("GET /", "GET /switch")).answer();

      assertThat(answer.status()).isEqualTo(403);
      assertThat(answer.reason()).isEqualTo("protocol_not_allowed");
      assertThat(answer.body()).doesNotContain("not HTTP");
    }
  }

  private RawGuest cleartext(PlainUpstream plain) throws Exception {
    harness.policy(Harness.rule("api.example.test", plain.port()));
    int listener = harness.listen("127.0.0.1", plain.port());
    return new RawGuest(
        Harness.SLOT, new InetSocketAddress("127.0.0.1", listener), harness.lineage);
  }

  @AttackRow(48)
  @Test
  void aNarrowedRangeClosesTheRelaysThatItForbids() throws Exception {
    harness.asked.set(InetAddress.getByName("127.0.0.5"));
    try (ServerSocket inside = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.5"))) {
      inside.setSoTimeout(60_000);
      EgressRule.Builder rule = EgressRule.newBuilder().addPorts(inside.getLocalPort());
      harness.policy(rule.setCidr("127.0.0.4/31").build());
      int listener = harness.listen("127.0.0.1", inside.getLocalPort());
      try (RawGuest guest =
              new RawGuest(
                  Harness.SLOT, new InetSocketAddress("127.0.0.1", listener), harness.lineage);
          Socket accepted = inside.accept()) {
        accepted.getOutputStream().write('\n');
        assertThat(guest.until("\n")).isEqualTo("\n");

        harness.policy(rule.setCidr("127.0.0.4/32").build());

        assertThat(guest.closed()).isTrue();
        assertThat(accepted.getInputStream().read()).isNegative();
      }
    }
  }

  /** Its host stays allowed, but from now on only where it is looked into. */
  @AttackRow(48)
  @Test
  void aRelayEndsWhenItsRuleNoLongerPassesThrough() throws Exception {
    EgressRule rule = Harness.rule("api.example.test", harness.port);
    harness.policy(rule.toBuilder().setPassthrough(true).build());
    try (RawGuest guest =
        new RawGuest(
                Harness.SLOT, new InetSocketAddress("127.0.0.1", harness.port), harness.public_)
            .tls("api.example.test")) {
      assertThat(guest.send(GET).answer().status()).isEqualTo(200);

      harness.policy(rule);

      assertThat(guest.closed()).isTrue();
    }
  }

  @AttackRow(36)
  @Test
  void aDetachedSlotIsClosedAndUnknown() throws Exception {
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      harness.slots.detach("sb-1", "node-1", 1);

      assertThat(guest.closed()).isTrue();
    }
    try (RawGuest guest = harness.guest()) {
      assertThat(guest.closed()).isTrue();
    }
  }

  @Test
  void aPassThroughRuleRelaysWithoutLookingInsideAndSaysSo() throws Exception {
    harness.policy(
        Harness.rule("api.example.test", harness.port).toBuilder().setPassthrough(true).build());
    // The guest meets the upstream's own certificate.
    try (RawGuest guest =
        new RawGuest(
                Harness.SLOT, new InetSocketAddress("127.0.0.1", harness.port), harness.public_)
            .tls("api.example.test")) {
      assertThat(guest.send(GET).answer().status()).isEqualTo(200);
    }
    AuditEvent event = harness.broker.event(AuditEvent::getUninspected);
    assertThat(event.getHost()).isEqualTo("api.example.test");
    assertThat(event.getBytesIn()).isPositive();
  }

  @AttackRow(45)
  @Test
  void anOpenRelayEndsWithTheLease() throws Exception {
    harness.policy(
        Harness.rule("api.example.test", harness.port).toBuilder().setPassthrough(true).build());
    LeaseWatch watch = LeaseWatch.manual(harness.surroundings.lease(), harness.slots);
    try (RawGuest guest =
        new RawGuest(
                Harness.SLOT, new InetSocketAddress("127.0.0.1", harness.port), harness.public_)
            .tls("api.example.test")) {
      watch.tick();
      assertThat(guest.send(GET).answer().status()).isEqualTo(200);

      harness.nanos.set(Duration.ofMinutes(11).toNanos());
      watch.tick();

      assertThat(guest.closed()).isTrue();
    }
    // The slot itself stays: with the lease renewed its guest gets out again.
    harness.nanos.set(0L);
    try (RawGuest guest =
        new RawGuest(
                Harness.SLOT, new InetSocketAddress("127.0.0.1", harness.port), harness.public_)
            .tls("api.example.test")) {
      watch.tick();
      assertThat(guest.send(GET).answer().status()).isEqualTo(200);
    }
  }

  @AttackRow(25)
  @Test
  void aRangeRelaysToItsAddressesOnlyWhereTheOperatorAgreed() throws Exception {
    KeyPair key = TestPki.newKey();
    harness.policy(EgressRule.newBuilder().setCidr("127.0.0.0/8").addPorts(harness.port).build());
    // The operator consented to this range and no other.
    harness.asked.set(InetAddress.getByName("127.0.0.5"));
    try (TestUpstream inside =
            new TestUpstream(
                new InetSocketAddress("127.0.0.5", harness.port),
                key,
                false,
                harness.public_.leaf(key.getPublic(), Duration.ofHours(1), "api.example.test"));
        RawGuest guest =
            new RawGuest(
                    Harness.SLOT, new InetSocketAddress("127.0.0.1", harness.port), harness.public_)
                .tls("api.example.test")) {
      assertThat(guest.send(GET).answer().status()).isEqualTo(200);
      assertThat(inside.received).hasSize(1);
    }
    // A name is pinned to this address, which exempts the pair of both and not the address alone.
    for (String refused : java.util.List.of("127.0.0.2", "127.0.0.3")) {
      harness.asked.set(InetAddress.getByName(refused));
      try (RawGuest guest = harness.guest()) {
        assertThat(guest.closed()).isTrue();
      }
      assertThat(harness.broker.event(e -> e.getHost().equals(refused)).getReason().name())
          .isEqualTo("EGRESS_REASON_PRIVATE_ADDRESS");
    }
    assertThat(harness.upstream.received).isEmpty();
  }

  @AttackRow(38)
  @Test
  void oneSecretBoundToTwoHostSetsIsAllowedWhereAnyBindingMatches() throws Exception {
    Attachment.Builder attachment = Harness.attachment(harness.port).setPolicyRevision(2);
    attachment.setSecrets(
        0,
        attachment.getSecrets(0).toBuilder()
            .addBindings(
                GrantedBinding.newBuilder()
                    .addHosts("other.example.test")
                    .addTargets("header:x-other")
                    .setOccurrences(1)));
    harness.apply(attachment.build());

    try (RawGuest guest = harness.guest().tls("other.example.test")) {
      String request = "GET / HTTP/1.1\r\nHost: other.example.test\r\n%s: %s\r\n\r\n";
      assertThat(guest.send(request.formatted("X-Other", Harness.PLACEHOLDER)).answer().status())
          .isEqualTo(200);
      assertThat(
              guest.send(request.formatted("Authorization", Harness.PLACEHOLDER)).answer().reason())
          .isEqualTo("placeholder_outside_target");
    }
  }

  /** After the grants were issued anew, the old placeholder is nobody's. */
  @AttackRow(36)
  @Test
  void anOldPlaceholderIsForeign() throws Exception {
    Attachment.Builder attachment = Harness.attachment(harness.port).setPolicyRevision(2);
    attachment.setSecrets(
        0,
        attachment.getSecrets(0).toBuilder()
            .setPlaceholderSha256(
                ByteString.copyFrom(PlaceholderHash.of("cofferdam_" + "N".repeat(43)).bytes())));
    harness.apply(attachment.build());

    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      assertThat(
              guest
                  .send(
                      GET.replace(
                          "\r\n\r\n", "\r\nAuthorization: " + Harness.PLACEHOLDER + "\r\n\r\n"))
                  .answer()
                  .reason())
          .isEqualTo("placeholder_foreign");
    }
    assertThat(harness.broker.materialised).isEmpty();
  }

  @AttackRow(40)
  @Test
  void anUpstreamWhoseCertificateIsWrongIsNotSpokenTo() throws Exception {
    KeyPair key = TestPki.newKey();
    TestPki stranger = new TestPki("stranger");
    harness.policy(Harness.rule("*.example.test"), Harness.rule("*.wrong.example.test"));
    for (var leaf :
        java.util.List.of(
            harness.public_.leaf(key.getPublic(), Duration.ofHours(1), "elsewhere.example.test"),
            harness.public_.leaf(key.getPublic(), Duration.ofHours(-1), "api.example.test"),
            stranger.leaf(key.getPublic(), Duration.ofHours(1), "api.example.test"))) {
      try (TestUpstream wrong =
          new TestUpstream(new InetSocketAddress("127.0.0.2", 0), key, false, leaf)) {
        harness.policy(Harness.rule("api.example.test", wrong.port()));
        int listener = harness.listen("127.0.0.1", wrong.port());
        try (RawGuest guest =
            new RawGuest(
                    Harness.SLOT, new InetSocketAddress("127.0.0.1", listener), harness.lineage)
                .tls("api.example.test")) {
          Answer answer =
              guest
                  .send(
                      GET.replace(
                          "\r\n\r\n", "\r\nAuthorization: " + Harness.PLACEHOLDER + "\r\n\r\n"))
                  .answer();

          assertThat(answer.status()).isEqualTo(502);
          assertThat(answer.reason()).isEqualTo("upstream_certificate");
        }
        assertThat(wrong.received).isEmpty();
      }
    }
    assertThat(harness.broker.materialised).isEmpty();
  }

  @AttackRow(49)
  @Test
  void withTheSpoolFullNoSecretIsUsedAndOtherRequestsPass() throws Exception {
    harness.broker.keepsReports = false;
    for (int i = 0; i < 64; i++) {
      harness.spool.add("default", AuditEvent.getDefaultInstance());
    }
    try (RawGuest guest = harness.guest().tls("api.example.test")) {
      assertThat(guest.send(GET).answer().status()).isEqualTo(200);
      Answer answer =
          guest
              .send(
                  GET.replace("\r\n\r\n", "\r\nAuthorization: " + Harness.PLACEHOLDER + "\r\n\r\n"))
              .answer();
      assertThat(answer.status()).isEqualTo(503);
      assertThat(answer.reason()).isEqualTo("spool_full");
    }
    assertThat(harness.broker.materialised).isEmpty();
  }

  @AttackRow(42)
  @Test
  void aGuestDoesNotTrustALeafOfAnotherLineage() throws Exception {
    try (RawGuest guest =
        new RawGuest(
            Harness.SLOT,
            new InetSocketAddress("127.0.0.1", harness.port),
            new TestPki("other lineage"))) {
      assertThatThrownBy(() -> guest.tls("api.example.test")).isInstanceOf(IOException.class);
    }
  }
}
