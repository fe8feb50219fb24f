package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.placeholder.PlaceholderHash;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.internal.v1.GrantedBinding;
import dev.cofferdam.internal.v1.GrantedSecret;
import dev.cofferdam.internal.v1.PlaceholderUse;
import dev.cofferdam.kit.egress.PlaceholderForm;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.PlaceholderShape;
import dev.cofferdam.v1.PolicyMode;
import dev.cofferdam.v1.Verdict;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http.websocketx.BinaryWebSocketFrame;
import io.netty.handler.codec.http.websocketx.TextWebSocketFrame;
import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import java.net.InetAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Placeholders in text messages of a WebSocket, where a binding has the target for them. */
final class WebSocketFrameTest extends AttackSuite {
  private static final String HANDSHAKE =
      "cofferdam_" + "H1a2N3d4S5h6A7k8E9h0A1n2D3s4H5a6K7e8H9a0Nds";
  private static final String HANDSHAKE_VALUE = "handshake-value-13579-24680";

  private HttpClient client;
  private long revision = 1;
  private int opened;
  private String path = "";

  WebSocketFrameTest() {
    super(true);
  }

  @BeforeAll
  void makeClient() throws Exception {
    harness.broker.secret(HANDSHAKE, HANDSHAKE_VALUE);
    client =
        HttpClient.newBuilder()
            .localAddress(InetAddress.getByName(Harness.SLOT))
            .sslContext(harness.lineage.client())
            .build();
  }

  @AfterAll
  void closeClient() {
    client.shutdownNow();
  }

  @BeforeEach
  void bind() throws Exception {
    bind(1, "websocket-frame");
  }

  @AfterEach
  void unbind() {
    harness.broker.refusal = Optional.empty();
    harness.broker.beforeValues = () -> {};
    harness.broker.secret(Harness.PLACEHOLDER, Harness.VALUE);
  }

  private void bind(int occurrences, String... targets) throws Exception {
    bind(PolicyMode.POLICY_MODE_ENFORCE, occurrences, targets);
  }

  private void bind(PolicyMode mode, int occurrences, String... targets) throws Exception {
    GrantedSecret api = Harness.granted("api-key", Harness.PLACEHOLDER, "api.example.test", false);
    GrantedBinding binding =
        api.getBindings(0).toBuilder()
            .clearTargets()
            .addAllTargets(List.of(targets))
            .setOccurrences(occurrences)
            .build();
    GrantedSecret handshake =
        Harness.granted("handshake-key", HANDSHAKE, "api.example.test", false);
    GrantedSecret weak = Harness.granted("weak-key", Harness.WEAK, "api.example.test", true);
    revision++;
    Attachment.Builder attachment = Harness.attachment(harness.port);
    harness.apply(
        attachment
            .setPolicyRevision(revision)
            .setPolicy(attachment.getPolicy().toBuilder().setMode(mode))
            .clearSecrets()
            .addSecrets(api.toBuilder().clearBindings().addBindings(binding))
            .addSecrets(Harness.granted("other-key", Harness.OTHER, "other.example.test", false))
            .addSecrets(handshake)
            .addSecrets(weak.toBuilder().clearBindings().addBindings(binding))
            .build());
  }

  private WebSocket open(Heard heard) {
    return open(heard, "");
  }

  /**
   * @param credential to begin with; empty for none
   */
  private WebSocket open(Heard heard, String credential) {
    path = "/socket/" + ++opened;
    WebSocket.Builder socket = client.newWebSocketBuilder();
    if (!credential.isEmpty()) {
      socket.header("Authorization", credential);
    }
    return socket
        .buildAsync(URI.create("wss://api.example.test:" + harness.port + path), heard)
        .orTimeout(60, TimeUnit.SECONDS)
        .join();
  }

  private AuditEvent event() throws Exception {
    return harness.broker.event(e -> e.getPath().equals(path));
  }

  private void refused(Heard heard, String reason) throws Exception {
    assertThat(heard.next()).isEqualTo("close 1008 " + reason);
    AuditEvent event = event();
    assertThat(event.getVerdict()).isEqualTo(Verdict.VERDICT_DENIED);
    assertThat(event.getReason().name()).isEqualToIgnoringCase("EGRESS_REASON_" + reason);
  }

  @Test
  void itIsSwappedInATextMessageAndNoMessageGivesItBack() throws Exception {
    Heard heard = new Heard();
    WebSocket socket = open(heard);

    socket.sendText("before", true).join();
    assertThat(heard.next()).isEqualTo("said: before");
    assertThat(harness.broker.materialised).isEmpty();
    socket.sendText("{\"token\": \"" + Harness.PLACEHOLDER + "\", \"n\": 1}", true).join();
    assertThat(heard.next())
        .isEqualTo("said: {\"token\": \"" + Harness.PLACEHOLDER + "\", \"n\": 1}");
    assertThat(harness.upstream.heard)
        .containsExactly("before", "{\"token\": \"" + Harness.VALUE + "\", \"n\": 1}");
    socket.sendText("after", true).join();
    assertThat(heard.next()).isEqualTo("said: after");
    socket.abort();

    PlaceholderUse use = harness.broker.materialised.getFirst().getUses(0);
    assertThat(use.getTarget()).isEqualTo("websocket-frame");
    assertThat(use.getPlaceholderSha256().toByteArray())
        .isEqualTo(PlaceholderHash.of(Harness.PLACEHOLDER).bytes());
    AuditEvent event = event();
    assertThat(event.getVerdict()).isEqualTo(Verdict.VERDICT_ALLOWED);
    assertThat(event.getSecret()).isEqualTo("api-key");
    assertThat(event.getTarget()).isEqualTo("websocket-frame");
    // The use and the connection's event are told together by the id of its request.
    assertThat(event.getRequest()).isEqualTo(harness.broker.materialised.getFirst().getRequest());
  }

  @Test
  void oneThatLooksLikeAKeyIsSwappedWhereAllOfItStands() throws Exception {
    String core = "c0fferdam" + "A1b2C3d4E5f6G7h8I9j0K1l2M3";
    String shaped = PlaceholderForm.whole("sk-", core, 51);
    harness.broker.secret(core, Harness.VALUE);
    Attachment.Builder attachment = Harness.attachment(harness.port);
    GrantedSecret key = Harness.granted("shaped-key", core, "api.example.test", false);
    harness.apply(
        attachment
            .setPolicyRevision(++revision)
            .clearSecrets()
            .addSecrets(
                key.toBuilder()
                    .setShape(PlaceholderShape.newBuilder().setPrefix("sk-").setLength(51))
                    .setBindings(
                        0,
                        key.getBindings(0).toBuilder()
                            .clearTargets()
                            .addTargets("websocket-frame")
                            .setOccurrences(2)))
            .build());
    Heard heard = new Heard();
    WebSocket socket = open(heard);

    socket.sendText("key " + shaped, true).join();
    assertThat(heard.next()).isEqualTo("said: key " + shaped);
    assertThat(harness.upstream.heard).containsExactly("key " + Harness.VALUE);
    // Its core alone is not what the owner named, and each use before counts.
    socket.sendText("key " + core, true).join();
    refused(heard, "placeholder_outside_target");

    Heard often = new Heard();
    WebSocket again = open(often);
    for (int use = 0; use < 2; use++) {
      again.sendText(shaped, true).join();
      assertThat(often.next()).isEqualTo("said: " + shaped);
    }
    again.sendText(shaped, true).join();
    refused(often, "placeholder_too_often");
  }

  @Test
  void overHttp2ItIsTheSame() throws Exception {
    harness.upstream.socketsOverHttp2 = true;
    harness.upstream.hangUp();
    try (Http2Guest guest = new Http2Guest(harness, "api.example.test")) {
      assertThat(guest.ask("api.example.test", "/before", Map.of())).isEqualTo("200");
      Http2Socket socket = guest.socket(Map.of());
      socket.send(new TextWebSocketFrame("key " + Harness.PLACEHOLDER));

      assertThat(socket.next()).isEqualTo("said: key " + Harness.PLACEHOLDER);
      assertThat(harness.upstream.heard).containsExactly("key " + Harness.VALUE);
    } finally {
      harness.upstream.socketsOverHttp2 = false;
      harness.upstream.hangUp();
    }
  }

  /** A message is what has a meaning, not how it was cut: it is put together and leaves whole. */
  @Test
  void overFragmentsItIsOneMessage() throws Exception {
    Heard heard = new Heard();
    String placeholder = Harness.PLACEHOLDER;
    open(heard)
        .sendText("a " + placeholder.substring(0, 20), false)
        .thenCompose(s -> s.sendText(placeholder.substring(20, 40), false))
        .thenCompose(s -> s.sendText(placeholder.substring(40) + " z", true))
        .join();

    assertThat(heard.next()).isEqualTo("said: a " + placeholder + " z");
    assertThat(harness.upstream.heard).containsExactly("a " + Harness.VALUE + " z");
  }

  @Test
  void howOftenItMayStandIsCountedOverTheConnection() throws Exception {
    bind(2, "websocket-frame");
    Heard heard = new Heard();
    WebSocket socket = open(heard);
    for (int i = 0; i < 2; i++) {
      socket.sendText(i + " " + Harness.PLACEHOLDER, true).join();
      assertThat(heard.next()).isEqualTo("said: " + i + " " + Harness.PLACEHOLDER);
    }
    socket.sendText("2 " + Harness.PLACEHOLDER, true).join();

    refused(heard, "placeholder_too_often");
    assertThat(harness.broker.materialised).hasSize(2);
    assertThat(harness.upstream.heard).containsExactly("0 " + Harness.VALUE, "1 " + Harness.VALUE);
  }

  @Test
  void twiceInOneMessageIsTwice() throws Exception {
    Heard heard = new Heard();
    open(heard).sendText(Harness.PLACEHOLDER + " " + Harness.PLACEHOLDER, true).join();

    refused(heard, "placeholder_too_often");
    assertThat(harness.upstream.heard).isEmpty();
    assertThat(harness.broker.materialised).isEmpty();
  }

  @AttackRow(32)
  @ParameterizedTest
  @ValueSource(strings = {"binary", "ping", "close", "escaped", "base64", "longer"})
  void whatIsNoTextOrNotThePlaceholderItselfIsRefused(String form) throws Exception {
    Heard heard = new Heard();
    WebSocket socket = open(heard);
    String placeholder = Harness.PLACEHOLDER;
    ByteBuffer bytes = StandardCharsets.US_ASCII.encode(placeholder);
    switch (form) {
      case "binary" -> socket.sendBinary(bytes, true).join();
      case "ping" -> socket.sendPing(bytes).join();
      case "close" -> socket.sendClose(WebSocket.NORMAL_CLOSURE, placeholder).join();
      case "escaped" -> socket.sendText(placeholder.replace("_", "\\u005f"), true).join();
      case "base64" -> socket.sendText(base64("key:" + placeholder), true).join();
      default -> socket.sendText(placeholder + "x", true).join();
    }

    refused(heard, "placeholder_outside_target");
    assertThat(harness.upstream.heard).isEmpty();
    assertThat(harness.broker.materialised).isEmpty();
  }

  @AttackRow(37)
  @Test
  void theSecretOfAnotherHostIsRefused() throws Exception {
    Heard heard = new Heard();
    open(heard).sendText(Harness.OTHER, true).join();

    refused(heard, "placeholder_host_not_bound");
    assertThat(harness.upstream.heard).isEmpty();
  }

  @AttackRow(36)
  @Test
  void whatWasNeverGrantedIsRefused() throws Exception {
    Heard heard = new Heard();
    open(heard).sendText("cofferdam_" + "x".repeat(43), true).join();

    refused(heard, "placeholder_foreign");
    assertThat(harness.upstream.heard).isEmpty();
  }

  /** The grants of the moment count, not those under which the connection began. */
  @AttackRow(48)
  @Test
  void aBindingThatWasNarrowedSinceHoldsForTheNextMessage() throws Exception {
    Heard heard = new Heard();
    WebSocket socket = open(heard);
    socket.sendText("before", true).join();
    assertThat(heard.next()).isEqualTo("said: before");
    bind(1, "header:authorization");
    socket.sendText(Harness.PLACEHOLDER, true).join();

    refused(heard, "placeholder_outside_target");
    assertThat(harness.upstream.heard).containsExactly("before");
    assertThat(harness.broker.materialised).isEmpty();
  }

  @AttackRow(45)
  @Test
  void whatTheBrokerRefusesDoesNotLeave() throws Exception {
    harness.broker.refusal =
        Optional.of(new Refusal(ErrorReason.ERROR_REASON_CAP_EXCEEDED, "no more uses"));
    Heard heard = new Heard();
    open(heard).sendText(Harness.PLACEHOLDER, true).join();

    refused(heard, "cap_exceeded");
    assertThat(harness.upstream.heard).isEmpty();
  }

  @AttackRow(45)
  @Test
  void withTheLeaseAtItsEndItDoesNotLeave() throws Exception {
    Heard heard = new Heard();
    WebSocket socket = open(heard);
    harness.nanos.set(TimeUnit.SECONDS.toNanos(601));
    socket.sendText(Harness.PLACEHOLDER, true).join();

    refused(heard, "lease_expired");
    assertThat(harness.upstream.heard).isEmpty();
    assertThat(harness.broker.materialised).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void whileTheSandboxLearnsNoMessageHoldsAValue(boolean fromTheBeginning) throws Exception {
    if (fromTheBeginning) {
      bind(PolicyMode.POLICY_MODE_LEARN, 1, "websocket-frame");
    }
    Heard heard = new Heard();
    WebSocket socket = open(heard);
    socket.sendText("before", true).join();
    assertThat(heard.next()).isEqualTo("said: before");
    if (!fromTheBeginning) {
      bind(PolicyMode.POLICY_MODE_LEARN, 1, "websocket-frame");
    }
    socket.sendText(Harness.PLACEHOLDER, true).join();

    refused(heard, "learning");
    assertThat(harness.upstream.heard).containsExactly("before");
    assertThat(harness.broker.materialised).isEmpty();
  }

  @Test
  void aKeyThatSignsIsNotPutIntoAMessage() throws Exception {
    bind(1, "aws4:*/*");
    Heard heard = new Heard();
    open(heard).sendText(Harness.PLACEHOLDER, true).join();

    refused(heard, "placeholder_outside_target");
    assertThat(harness.broker.materialised).isEmpty();
  }

  /** The value of the handshake is looked for in messages beside those of messages. */
  @AttackRow(18)
  @ParameterizedTest
  @ValueSource(strings = {"credential", "fragments", "base64"})
  void theHandshakesValueStaysOutOfMessagesToo(String asked) throws Exception {
    Heard heard = new Heard();
    WebSocket socket = open(heard, "Bearer " + HANDSHAKE);
    socket.sendText("in a message " + Harness.PLACEHOLDER, true).join();
    assertThat(heard.next()).isEqualTo("said: in a message " + Harness.PLACEHOLDER);
    socket.sendText(asked, true).join();

    assertThat(heard.next())
        .doesNotContain(HANDSHAKE_VALUE)
        .doesNotContain(base64("Bearer " + HANDSHAKE_VALUE).substring(12, 36));
    socket.abort();
    assertThat(event().getTarget()).isEqualTo("header:authorization");
  }

  /** A stream is not read on while the broker is asked, so that its window is all it can fill. */
  @AttackRow(34)
  @Test
  void whatComesWhileTheBrokerIsAskedIsBounded() throws Exception {
    Semaphore mayAnswer = new Semaphore(0);
    harness.broker.beforeValues = mayAnswer::acquireUninterruptibly;
    int frames = 256;
    try (Http2Guest guest = new Http2Guest(harness, "api.example.test")) {
      Http2Socket socket = guest.socket(Map.of());
      assertThat(socket.status()).isEqualTo("200");
      socket.send(new TextWebSocketFrame("first " + Harness.PLACEHOLDER));
      AtomicInteger taken = new AtomicInteger();
      for (int i = 0; i < frames; i++) {
        socket.sendCounted(
            new BinaryWebSocketFrame(Unpooled.wrappedBuffer(new byte[64 << 10])), taken);
      }
      for (int i = 0; i < 50; i++) {
        assertThat(guest.ask("api.example.test", "/beside", Map.of())).isEqualTo("200");
      }
      // The window is of 1 MiB.
      assertThat(taken.get()).isLessThan(frames / 8);
      mayAnswer.release();

      assertThat(socket.next()).isEqualTo("said: first " + Harness.PLACEHOLDER);
      for (int i = 0; i < frames; i++) {
        assertThat(socket.next()).hasSize("binary ".length() + (64 << 10));
      }
    } finally {
      mayAnswer.release();
    }
  }

  @Test
  void whatFollowsWaitsForTheValueAndKeepsItsOrder() throws Exception {
    Semaphore mayAnswer = new Semaphore(0);
    harness.broker.beforeValues = mayAnswer::acquireUninterruptibly;
    Heard heard = new Heard();
    WebSocket socket = open(heard);
    socket
        .sendText("1 " + Harness.PLACEHOLDER, true)
        .thenCompose(s -> s.sendText("2", true))
        .thenCompose(s -> s.sendBinary(ByteBuffer.wrap(new byte[] {'3'}), true))
        .join();
    assertThat(harness.upstream.heard).isEmpty();
    mayAnswer.release();

    assertThat(heard.next()).isEqualTo("said: 1 " + Harness.PLACEHOLDER);
    assertThat(heard.next()).isEqualTo("said: 2");
    assertThat(heard.next()).isEqualTo("binary 3");
    assertThat(harness.upstream.heard).containsExactly("1 " + Harness.VALUE, "2", "3");
  }

  /** Read at once with what is asked for, and no sooner sent. */
  @Test
  void whatCameWithItKeepsItsOrderToo() throws Exception {
    try (Http2Guest guest = new Http2Guest(harness, "api.example.test")) {
      Http2Socket socket = guest.socket(Map.of());
      assertThat(socket.status()).isEqualTo("200");
      ByteBuf frames = Unpooled.buffer();
      for (String text : List.of(Harness.PLACEHOLDER, "2", "3")) {
        // Masked with zeros.
        frames.writeByte(0x81).writeByte(0x80 | text.length()).writeInt(0);
        frames.writeCharSequence(text, StandardCharsets.US_ASCII);
      }
      socket.send(new DefaultHttp2DataFrame(frames));

      assertThat(socket.next()).isEqualTo("said: " + Harness.PLACEHOLDER);
      assertThat(socket.next()).isEqualTo("said: 2");
      assertThat(socket.next()).isEqualTo("said: 3");
      assertThat(harness.upstream.heard).containsExactly(Harness.VALUE, "2", "3");
    }
  }

  @Test
  void aValueThatIsNoUtf8IsNotPutIntoText() throws Exception {
    harness.broker.values.put(
        PlaceholderHash.of(Harness.PLACEHOLDER).hex(),
        "\u00ff-not-utf-8-at-all".getBytes(StandardCharsets.ISO_8859_1));
    Heard heard = new Heard();
    open(heard).sendText(Harness.PLACEHOLDER, true).join();

    refused(heard, "value_not_representable");
    assertThat(harness.upstream.heard).isEmpty();
  }

  @AttackRow(54)
  @Test
  void anAnswerWithAWeakValueIsKeptBack() throws Exception {
    Heard heard = new Heard();
    open(heard).sendText(Harness.WEAK, true).join();

    refused(heard, "weak_value_in_answer");
    assertThat(harness.upstream.heard).containsExactly("short");
  }

  @AttackRow(34)
  @Test
  void aMessageThatIsTooLongToBeReadWholeIsRefused() throws Exception {
    Heard heard = new Heard();
    WebSocket socket = open(heard);
    String part = "x".repeat(1 << 20);
    for (int i = 0; i < 4; i++) {
      socket.sendText(part, false).join();
    }
    socket.sendText("and more", true).join();

    refused(heard, "malformed_request");
    assertThat(harness.upstream.heard).isEmpty();
  }
}
