package dev.cofferdam.gateway.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.MalformedException;
import dev.cofferdam.kit.http.RequestHead;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class Http1ClientHandlerTest {
  private final Http1ClientHandler codec = new Http1ClientHandler(4096);
  private final EmbeddedChannel channel = new EmbeddedChannel(codec);

  @AfterEach
  void close() {
    channel.finishAndReleaseAll();
  }

  private void ask() {
    channel.writeOutbound(
        new OutgoingRequest(
            new RequestHead("GET", "api.example.test", "/", Headers.none(), 0, true, false),
            true,
            Optional.empty(),
            Map.of(),
            Optional.empty()),
        End.plain());
  }

  /** The body of the answer, or what is wrong with it. */
  private String answered(String bytes) {
    ask();
    channel.writeInbound(Unpooled.copiedBuffer(bytes, StandardCharsets.ISO_8859_1));
    StringBuilder body = new StringBuilder();
    for (Object part = channel.readInbound(); part != null; part = channel.readInbound()) {
      switch (part) {
        case ByteBuf data -> {
          body.append(data.toString(StandardCharsets.ISO_8859_1));
          data.release();
        }
        case MalformedException malformed -> body.append(malformed.text());
        default -> {}
      }
    }
    return body.toString();
  }

  /** RFC 9112 section 7: transfer coding names are case-insensitive. */
  @ParameterizedTest
  @ValueSource(strings = {"chunked", "Chunked", "CHUNKED"})
  void chunkedIsUnderstoodInAnyCase(String coding) {
    assertThat(
            answered(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + coding + "\r\n\r\n2\r\nok\r\n0\r\n\r\n"))
        .isEqualTo("ok");
    assertThat(codec.reusable()).isTrue();
  }

  @Test
  void anotherCodingIsNot() {
    assertThat(answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"))
        .contains("ambiguous");
  }

  /**
   * RFC 9112 section 9.3: persistence is an option of HTTP/1.0 that the gateway does not ask for.
   */
  @ParameterizedTest
  @CsvSource({"HTTP/1.1, true", "HTTP/1.0, false"})
  void aConnectionOfTheOldVersionIsNotUsedAgain(String version, boolean reusable) {
    assertThat(answered(version + " 200 OK\r\nContent-Length: 2\r\n\r\nok")).isEqualTo("ok");
    assertThat(codec.reusable()).isEqualTo(reusable);
  }
}
