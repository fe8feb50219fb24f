package dev.cofferdam.edge.head;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.edge.secret.HeldValue;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

final class FirstHeadTest {
  private static final String VALUE = "eyJzZWNyZXRzIjoidGhlLXZhbHVlIn0=";
  private static final Pattern TICKET =
      Pattern.compile("x-deno-sandbox-config: ([0-9a-f]{48})\r\n");

  private final CarriedHeads carried = new CarriedHeads(new SecureRandom());
  private final Semaphore large = new Semaphore(1);
  private final EmbeddedChannel channel = open();

  private EmbeddedChannel open() {
    return new EmbeddedChannel(new FirstHead(carried, 64 << 10, Duration.ofSeconds(15), large));
  }

  private static ByteBuf bytes(String text) {
    return Unpooled.copiedBuffer(text, StandardCharsets.ISO_8859_1);
  }

  private static String inbound(EmbeddedChannel channel) {
    StringBuilder text = new StringBuilder();
    for (ByteBuf next = channel.readInbound(); next != null; next = channel.readInbound()) {
      text.append(next.toString(StandardCharsets.ISO_8859_1));
      next.release();
    }
    return text.toString();
  }

  private static String outbound(EmbeddedChannel channel) {
    ByteBuf next = channel.readOutbound();
    return next == null ? "" : next.toString(StandardCharsets.ISO_8859_1);
  }

  private static String text(HeldValue value) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < value.length(); i++) {
      text.append((char) (value.at(i) & 0xff));
    }
    return text.toString();
  }

  private String ticketIn(String head) {
    Matcher matcher = TICKET.matcher(head);
    assertThat(matcher.find()).as(head).isTrue();
    return matcher.group(1);
  }

  @Test
  void theServerBehindItSeesATicket() {
    channel.writeInbound(
        bytes(
            "GET /x HTTP/1.1\r\nHost: a\r\nX-Deno-Sandbox-Config:  "
                + VALUE
                + " \r\nAuthorization: b\r\n\r\nbody"));
    String head = inbound(channel);
    assertThat(head)
        .startsWith("GET /x HTTP/1.1\r\nHost: a\r\nx-deno-sandbox-config: ")
        .endsWith("\r\nAuthorization: b\r\n\r\nbody")
        .doesNotContain(VALUE);
    try (HeldValue held = carried.take(ticketIn(head)).orElseThrow()) {
      assertThat(text(held)).isEqualTo(VALUE);
    }
    assertThat(carried.take(ticketIn(head))).isEqualTo(Optional.empty());
  }

  @Test
  void aHeadMayComeAByteAtATime() {
    String request = "GET / HTTP/1.1\r\nx-deno-sandbox-config: " + VALUE + "\r\n\r\n";
    for (int i = 0; i < request.length() - 1; i++) {
      channel.writeInbound(bytes(request.substring(i, i + 1)));
      assertThat(inbound(channel)).isEmpty();
    }
    channel.writeInbound(bytes("\n"));
    assertThat(inbound(channel)).doesNotContain(VALUE).containsPattern(TICKET);
  }

  /** However it is written, a server behind could take it for the header. */
  @Test
  void noSpellingOfTheHeaderGetsThrough() {
    for (String line :
        new String[] {
          "x-deno-sandbox-config :" + VALUE,
          "X-DENO-SANDBOX-CONFIG:" + VALUE,
          " x-deno-sandbox-config:" + VALUE,
          "\tx-deno-sandbox-config\t:" + VALUE
        }) {
      EmbeddedChannel other = open();
      other.writeInbound(bytes("GET / HTTP/1.1\r\na: b\n" + line + "\r\n\r\n"));
      assertThat(inbound(other)).as(line).doesNotContain(VALUE);
    }
  }

  @Test
  void eachOfSeveralHasATicketAndAllAreForgottenWithTheConnection() {
    channel.writeInbound(
        bytes("GET / HTTP/1.1\r\nx-deno-sandbox-config: A\r\nx-deno-sandbox-config: B\r\n\r\n"));
    assertThat(inbound(channel)).doesNotContain("config: A").doesNotContain("config: B");
    assertThat(carried.size()).isEqualTo(2);
    channel.close();
    assertThat(carried.size()).isZero();
  }

  @Test
  void aSlowHeadEndsTheConnection() {
    channel.writeInbound(bytes("GET / HTTP/1.1\r\nA: "));
    channel.advanceTimeBy(14, TimeUnit.SECONDS);
    channel.runScheduledPendingTasks();
    assertThat(channel.isOpen()).isTrue();
    channel.writeInbound(bytes("b"));
    channel.advanceTimeBy(2, TimeUnit.SECONDS);
    channel.runScheduledPendingTasks();
    assertThat(channel.isOpen()).isFalse();
  }

  @Test
  void aHeadInTimeHasNoDeadlineAnyMore() {
    channel.writeInbound(bytes("GET / HTTP/1.1\r\n\r\n"));
    channel.advanceTimeBy(60, TimeUnit.SECONDS);
    channel.runScheduledPendingTasks();
    assertThat(channel.isOpen()).isTrue();
    channel.writeInbound(bytes("more"));
    assertThat(inbound(channel)).endsWith("more");
  }

  @Test
  void aHeadWithoutEndIsCutOff() {
    String part = "a".repeat(8 << 10);
    channel.writeInbound(bytes("GET / HTTP/1.1\r\nx: "));
    for (int i = 0; i < 9 && channel.isOpen(); i++) {
      channel.writeInbound(bytes(part));
    }
    assertThat(outbound(channel)).startsWith("HTTP/1.1 431 ").contains("CONFIGURATION_TOO_LARGE");
    assertThat(channel.isOpen()).isFalse();
    assertThat(large.availablePermits()).isEqualTo(1);
  }

  @Test
  void largeHeadsAreFewAtATime() {
    String part = "GET / HTTP/1.1\r\nx: " + "a".repeat(20 << 10);
    channel.writeInbound(bytes(part));
    EmbeddedChannel second = open();
    second.writeInbound(bytes(part));
    assertThat(outbound(second)).startsWith("HTTP/1.1 503 ");
    assertThat(channel.isOpen()).isTrue();
    channel.close();
    assertThat(large.availablePermits()).isEqualTo(1);
  }

  @Test
  void http2IsRefusedForItsHeadsArePacked() {
    channel.writeInbound(bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    assertThat(outbound(channel)).startsWith("HTTP/1.1 505 ");
    assertThat(channel.isOpen()).isFalse();
  }

  @Test
  void aWholeHeadThatIsTooLongIsRefusedToo() {
    channel.writeInbound(bytes("GET / HTTP/1.1\r\nx: " + "a".repeat(70 << 10) + "\r\n\r\n"));
    assertThat(inbound(channel)).isEmpty();
    assertThat(outbound(channel)).startsWith("HTTP/1.1 431 ");
    assertThat(channel.isOpen()).isFalse();
  }

  @Test
  void whatNobodyTookIsClosed() {
    HeldValue value = new HeldValue(1);
    value.append((byte) 'a');
    carried.drop(carried.keep(value));
    assertThatThrownBy(() -> value.at(0)).isInstanceOf(IllegalStateException.class);
  }
}
