package dev.cofferdam.gateway.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.scrub.Scrubber;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.Http2Parts;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.buffer.UnpooledByteBufAllocator;
import io.netty.handler.codec.http2.DefaultHttp2Headers;
import io.netty.handler.codec.http2.DefaultHttp2HeadersDecoder;
import io.netty.handler.codec.http2.DefaultHttp2HeadersEncoder;
import io.netty.handler.codec.http2.Http2Exception;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.util.AsciiString;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The canary search of the end-to-end tests looks for the same in a whole gateway. */
final class DecodedHeadersTest {
  private static final String VALUE = "sk-live-0123456789/abc+def=XYZ";
  private static final String PLACEHOLDER = "cofferdam_placeholder";

  @ParameterizedTest
  // The first is shorter in Huffman's code, the last is not: the decoder makes them in two ways.
  @ValueSource(strings = {"Bearer " + VALUE, VALUE, VALUE + "\\^\\^\\^\\^\\^\\^\\^\\^\\^\\^"})
  void anEchoedValueBecomesThePlaceholderAndItsArrayIsZeroed(String echo) throws Exception {
    Http2Headers decoded = decoded(new DefaultHttp2Headers().status("200").set("x-echo", echo));
    AsciiString onTheHeap = (AsciiString) decoded.get("x-echo");

    Headers clean = scrub(decoded, VALUE);

    assertThat(clean.first("x-echo")).contains(echo.replace(VALUE, PLACEHOLDER));
    assertThat(onTheHeap.array()).containsOnly(0);
  }

  @Test
  void aValueInAHeadersNameToo() throws Exception {
    String value = "sk-live-0123456789";
    Http2Headers decoded = decoded(new DefaultHttp2Headers().status("200").set("x-" + value, "1"));
    AsciiString onTheHeap = (AsciiString) names(decoded).getLast();

    Headers clean = scrub(decoded, value);

    assertThat(clean.lines()).containsExactly(new Header("x-" + PLACEHOLDER, "1"));
    assertThat(onTheHeap.array()).containsOnly(0);
  }

  /** A tenant who chose such a value would take the header from every other. */
  @ParameterizedTest
  @ValueSource(strings = {"access-control-allow-origin", "gzip, deflate"})
  void whatIsSharedByAllConnectionsIsNeverZeroed(String value) throws Exception {
    Http2Headers headers =
        new DefaultHttp2Headers()
            .status("200")
            .set("access-control-allow-origin", "*")
            .set("accept-encoding", "gzip, deflate");

    Headers clean = scrub(decoded(headers), value);

    assertThat(clean.toString()).contains(PLACEHOLDER);
    assertThat(Http2Parts.headers(decoded(headers)).lines())
        .containsExactlyInAnyOrder(
            new Header("access-control-allow-origin", "*"),
            new Header("accept-encoding", "gzip, deflate"));
  }

  private static Headers scrub(Http2Headers decoded, String value) {
    byte[] bytes = value.getBytes(StandardCharsets.ISO_8859_1);
    try (SecretValue secret = new SecretValue(bytes.length)) {
      for (int i = 0; i < bytes.length; i++) {
        secret.set(i, bytes[i]);
      }
      Scrubber scrubber = new Scrubber(List.of(new Scrubber.Secret(secret, PLACEHOLDER, false)));
      return DecodedHeaders.scrubbed(decoded, scrubber, UnpooledByteBufAllocator.DEFAULT);
    }
  }

  private static List<CharSequence> names(Http2Headers headers) {
    List<CharSequence> names = new ArrayList<>();
    headers.forEach(entry -> names.add(entry.getKey()));
    return names;
  }

  /** As they come from the wire. */
  private static Http2Headers decoded(Http2Headers headers) throws Http2Exception {
    ByteBuf block = Unpooled.buffer();
    new DefaultHttp2HeadersEncoder().encodeHeaders(1, headers, block);
    return new DefaultHttp2HeadersDecoder(true).decodeHeaders(1, block);
  }
}
