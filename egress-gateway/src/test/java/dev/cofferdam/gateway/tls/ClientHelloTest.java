package dev.cofferdam.gateway.tls;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.AttackRow;
import dev.cofferdam.gateway.ClientHellos;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class ClientHelloTest {
  private static ClientHello.Peek peek(byte[] bytes) {
    return ClientHello.peek(Unpooled.wrappedBuffer(bytes));
  }

  /** The same message in records of a few bytes each. */
  private static byte[] fragmented(byte[] record, int size) {
    ByteBuf out = Unpooled.buffer();
    for (int at = 5; at < record.length; at += size) {
      int length = Math.min(size, record.length - at);
      out.writeBytes(record, 0, 3).writeShort(length).writeBytes(record, at, length);
    }
    byte[] bytes = new byte[out.readableBytes()];
    out.readBytes(bytes);
    return bytes;
  }

  @Test
  void theNameOfARealClientIsRead() throws Exception {
    assertThat(peek(ClientHellos.of("api.example.com")))
        .isEqualTo(
            new ClientHello.Peek.Hello(
                new ClientHello(Optional.of("api.example.com"), false, false)));
  }

  @AttackRow(10)
  @Test
  void overManyRecordsItIsTheSame() throws Exception {
    byte[] hello = ClientHellos.of("api.example.com");
    for (int size : new int[] {1, 7, 100}) {
      assertThat(peek(fragmented(hello, size))).isEqualTo(peek(hello));
    }
  }

  @Test
  void aPartIsNeverTakenForTheWhole() throws Exception {
    byte[] hello = ClientHellos.of("api.example.com");
    for (int length = 0; length < hello.length; length++) {
      assertThat(peek(java.util.Arrays.copyOf(hello, length)))
          .isInstanceOf(ClientHello.Peek.NeedsMore.class);
    }
  }

  @Test
  void anEncryptedOneInsideIsSeen() throws Exception {
    assertThat(peek(ClientHellos.withEncrypted("api.example.com")))
        .isEqualTo(
            new ClientHello.Peek.Hello(
                new ClientHello(Optional.of("api.example.com"), true, false)));
  }

  @Test
  void whateverIsChangedNothingButAPeekComesOut() throws Exception {
    byte[] hello = ClientHellos.of("api.example.com");
    Random random = new Random(5);
    for (int i = 0; i < 20_000; i++) {
      byte[] changed = hello.clone();
      for (int flips = 0; flips <= random.nextInt(4); flips++) {
        changed[random.nextInt(changed.length)] = (byte) random.nextInt();
      }
      assertThat(peek(changed)).isNotNull();
    }
    assertThat(peek("GET / HTTP/1.1\r\n".getBytes(StandardCharsets.US_ASCII)))
        .isInstanceOf(ClientHello.Peek.NotTls.class);
  }
}
