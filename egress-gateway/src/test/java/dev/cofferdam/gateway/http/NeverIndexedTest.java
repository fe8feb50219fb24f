package dev.cofferdam.gateway.http;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.AttackRow;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.Http2Parts;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http2.DefaultHttp2HeadersEncoder;
import io.netty.handler.codec.http2.Http2Headers;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What is compressed tells by its length what it is like; a secret is not (RFC 7541, 7.1.3). */
final class NeverIndexedTest {
  private final DefaultHttp2HeadersEncoder encoder =
      new DefaultHttp2HeadersEncoder(SecretCharacters.NEVER_INDEXED);

  private String encoded(String guess) throws Exception {
    try (SecretValue value = new SecretValue(20)) {
      for (int i = 0; i < 20; i++) {
        value.set(i, (byte) ('a' + i));
      }
      Http2Headers headers =
          Http2Parts.of(
              Headers.of("authorization", "the placeholder", "x-guess", guess),
              Map.of(0, new SecretCharacters(value)));
      ByteBuf out = Unpooled.buffer();
      encoder.encodeHeaders(3, headers, out);
      return ByteBufUtil.hexDump(out);
    }
  }

  @AttackRow(21)
  @Test
  void theValueGoesOutAsALiteralThatNoHopMayKeep() throws Exception {
    String value = ByteBufUtil.hexDump("abcdefghijklmnopqrst".getBytes(StandardCharsets.US_ASCII));
    // A literal that is never indexed: 0001 and the index of authorization, 23; then its length.
    String literal = "1f08" + "14" + value;

    assertThat(encoded("x")).contains(literal);
    assertThat(encoded("x")).contains(literal);
  }

  @AttackRow(21)
  @Test
  void aRightGuessBesideItIsNoShorterThanAWrongOne() throws Exception {
    encoded("first");

    int right = encoded("abcdefghijklmnopqrst").length();

    assertThat(encoded("tsrqponmlkjihgfedcba")).hasSize(right);
  }
}
