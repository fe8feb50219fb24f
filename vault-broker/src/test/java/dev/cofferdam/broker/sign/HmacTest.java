package dev.cofferdam.broker.sign;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import java.util.function.Supplier;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Against the JDK's, with keys and messages around every border of a block. */
final class HmacTest {
  private static byte[] ours(Supplier<Digest> hash, int length, byte[] key, byte[] message) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(length);
      Hmac.sign(
          hash,
          arena.allocateFrom(ValueLayout.JAVA_BYTE, key),
          digest -> digest.update(MemorySegment.ofArray(message)),
          out);
      return out.toArray(ValueLayout.JAVA_BYTE);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 31, 32, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 300})
  void asTheJdk(int size) throws Exception {
    Random random = new Random(size);
    for (int messageSize = 0; messageSize < 260; messageSize++) {
      byte[] key = new byte[size];
      byte[] message = new byte[messageSize];
      random.nextBytes(key);
      random.nextBytes(message);
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(key, "HmacSHA256"));
      assertThat(ours(Sha256::new, 32, key, message)).isEqualTo(mac.doFinal(message));
      Mac longer = Mac.getInstance("HmacSHA512");
      longer.init(new SecretKeySpec(key, "HmacSHA512"));
      assertThat(ours(Sha512::new, 64, key, message)).isEqualTo(longer.doFinal(message));
    }
  }
}
