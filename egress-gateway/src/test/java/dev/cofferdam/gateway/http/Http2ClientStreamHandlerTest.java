package dev.cofferdam.gateway.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.MalformedException;
import dev.cofferdam.kit.http.ResponseHead;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.http2.DefaultHttp2DataFrame;
import io.netty.handler.codec.http2.DefaultHttp2Headers;
import io.netty.handler.codec.http2.DefaultHttp2HeadersFrame;
import io.netty.handler.codec.http2.Http2Headers;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What an upstream may say in HTTP/2, where the guest may speak HTTP/1.1. */
final class Http2ClientStreamHandlerTest {
  private final EmbeddedChannel stream = new EmbeddedChannel(new Http2ClientStreamHandler());

  @AfterEach
  void close() {
    stream.finishAndReleaseAll();
  }

  private static Http2Headers headers(String... namesAndValues) {
    // Not validated: an upstream's bytes are what it chose.
    Http2Headers headers = new DefaultHttp2Headers(false);
    for (int i = 0; i < namesAndValues.length; i += 2) {
      headers.add(namesAndValues[i], namesAndValues[i + 1]);
    }
    return headers;
  }

  private void head(boolean end, String... namesAndValues) {
    stream.writeInbound(new DefaultHttp2HeadersFrame(headers(namesAndValues), end));
  }

  private void data() {
    stream.writeInbound(new DefaultHttp2DataFrame(Unpooled.copiedBuffer(new byte[] {'x'}), false));
  }

  /** What was made of it, by kind. */
  private List<String> parts() {
    List<String> parts = new ArrayList<>();
    for (Object part = stream.readInbound(); part != null; part = stream.readInbound()) {
      switch (part) {
        case ByteBuf bytes -> {
          parts.add("data");
          bytes.release();
        }
        case ResponseHead head -> parts.add("head " + head.status());
        case End end -> parts.add("end " + end.trailers().lines());
        case MalformedException _ -> parts.add("malformed");
        default -> parts.add(part.toString());
      }
    }
    return parts;
  }

  @Test
  void anAnswerWithInterimHeadAndTrailersIsUnderstood() {
    head(false, ":status", "103");
    head(false, ":status", "200");
    data();
    head(true, "x-sum", "1");

    assertThat(parts())
        .containsExactly(
            "head 103", "head 200", "data", "end " + List.of(new Header("x-sum", "1")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"1\r\nset-cookie: a=b", "1\n\nHTTP/1.1 200 OK", "\0", "\u0100"})
  void aTrailerThatWouldSplitTheGuestsAnswerIsRefused(String value) {
    head(false, ":status", "200");
    data();
    head(true, "x-sum", value);

    assertThat(parts()).containsExactly("head 200", "data", "malformed");
  }

  @Test
  void soIsATrailersName() {
    head(false, ":status", "200");
    head(true, "x-a: 1\r\nx-b", "2");

    assertThat(parts()).containsExactly("head 200", "malformed");
  }

  @ParameterizedTest
  @ValueSource(strings = {":status", ":path", ":unknown"})
  void aPseudoHeaderAfterTheHeadIsRefused(String name) {
    head(false, ":status", "200");
    data();
    head(true, name, "200");

    assertThat(parts()).containsExactly("head 200", "data", "malformed");
  }

  @Test
  void nothingFollowsWhatWasRefused() {
    head(false, ":status", "200");
    head(false, ":status", "200");
    data();
    head(true, "x-sum", "1");

    assertThat(parts()).containsExactly("head 200", "malformed");
  }

  @Test
  void anAnswerWithoutAStatusIsRefused() {
    head(true, "x-a", "1");

    assertThat(parts()).containsExactly("malformed");
  }

  @Test
  void anInterimHeadDoesNotEndTheAnswer() {
    head(true, ":status", "103");

    assertThat(parts()).containsExactly("malformed");
  }
}
