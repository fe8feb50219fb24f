package dev.cofferdam.gateway.proxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.http.Headers;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.UnpooledByteBufAllocator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;

final class RequestBodyTest {
  private final UnpooledByteBufAllocator allocator = new UnpooledByteBufAllocator(true);

  private ByteBuf part(byte[] bytes) {
    return allocator.directBuffer(bytes.length).writeBytes(bytes);
  }

  private RequestBody packed() {
    return new RequestBody(Headers.of("content-encoding", "gzip"), allocator);
  }

  private static byte[] gzip(byte[] plain) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
      gzip.write(plain);
    }
    return out.toByteArray();
  }

  private void nothingIsHeld() {
    assertThat(allocator.metric().usedDirectMemory()).isZero();
    assertThat(allocator.metric().usedHeapMemory()).isZero();
  }

  @Test
  void aBodyThatIsNotItsEncodingLeavesNoMemoryBehind() {
    ByteBuf garbage = part("this is no gzip".getBytes(StandardCharsets.US_ASCII));
    try (RequestBody body = packed()) {
      body.add(garbage, false);
      assertThatThrownBy(body::search).isInstanceOf(RequestBody.UnreadableException.class);
    }
    assertThat(garbage.refCnt()).isZero();
    nothingIsHeld();
  }

  /** A small part may become a large one: it is not unpacked at once, and waits meanwhile. */
  @Test
  void aTurnUnpacksSoMuchAndNothingLeavesBeforeTheLast() throws Exception {
    int turns = 5;
    ByteBuf bomb = part(gzip(new byte[(int) RequestBody.TURN * turns - 1]));
    try (RequestBody body = packed()) {
      body.add(bomb, true);
      for (int turn = 1; turn < turns; turn++) {
        assertThat(body.search()).as("turn %d", turn).isFalse();
        assertThat(body.poll()).isEmpty();
      }
      assertThat(body.search()).isTrue();
      body.poll().orElseThrow().release();
    }
    nothingIsHeld();
  }

  /** Half of it was good, and had been taken for good. */
  @Test
  void norDoesOneThatBreaksOffLater() throws Exception {
    byte[] bytes = gzip("abcdefgh".repeat(1000).getBytes(StandardCharsets.US_ASCII));
    bytes[bytes.length - 6] ^= 1;
    ByteBuf first = part(java.util.Arrays.copyOf(bytes, 12));
    ByteBuf second = part(java.util.Arrays.copyOfRange(bytes, 12, bytes.length));
    try (RequestBody body = packed()) {
      body.add(first, false);
      assertThat(body.search()).isTrue();
      body.add(second, true);
      assertThatThrownBy(body::search).isInstanceOf(RequestBody.UnreadableException.class);
    }
    assertThat(first.refCnt()).isZero();
    assertThat(second.refCnt()).isZero();
    nothingIsHeld();
  }
}
