package dev.cofferdam.broker.api;

import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.secret.SecretStoreContract.value;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.internal.v1.MaterializeResponse;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.SecretBinding;
import io.grpc.Drainable;
import io.grpc.HasByteBuffer;
import io.grpc.KnownLength;
import io.grpc.StatusRuntimeException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MarshallersTest {
  private static final String VALUE = "sk-test-0123456789abcdef";

  private final ValueRequestMarshaller<PutSecretRequest> requests =
      new ValueRequestMarshaller<>(PutSecretRequest.parser());
  private final ValuesMarshaller answers = new ValuesMarshaller();

  private static PutSecretRequest request(ByteString value) {
    return PutSecretRequest.newBuilder()
        .setName("api-key")
        .setValue(value)
        .addBindings(SecretBinding.newBuilder().addHosts("api.example.com").setOccurrences(300))
        .setWeak(true)
        .build();
  }

  private static String text(SecretValue value) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < value.length(); i++) {
      text.append((char) value.at(i));
    }
    return text.toString();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 7, 64, 4096})
  void aRequestIsReadFromBuffersOfAnySizeWhichAreZeroedBehindIt(int size) {
    byte[] wire = request(ByteString.copyFromUtf8(VALUE)).toByteArray();
    Buffers buffers = new Buffers(wire, size);
    try (ValueRequest<PutSecretRequest> parsed = requests.parse(buffers)) {
      assertThat(text(parsed.value())).isEqualTo(VALUE);
      assertThat(parsed.message())
          .isEqualTo(request(ByteString.EMPTY))
          .satisfies(message -> assertThat(message.getValue()).isEmpty());
    }
    for (ByteBuffer buffer : buffers.all) {
      for (int i = 0; i < buffer.capacity(); i++) {
        assertThat(buffer.get(i)).isZero();
      }
    }
  }

  @Test
  void aStreamWithoutBuffersIsReadAllTheSame() {
    byte[] wire = request(ByteString.copyFromUtf8(VALUE)).toByteArray();
    try (ValueRequest<PutSecretRequest> parsed = requests.parse(new ByteArrayInputStream(wire))) {
      assertThat(text(parsed.value())).isEqualTo(VALUE);
    }
  }

  @Test
  void theLastOfSeveralValuesCounts() throws Exception {
    byte[] wire =
        ByteString.copyFrom(request(ByteString.copyFromUtf8("the-first-of-two")).toByteArray())
            .concat(request(ByteString.copyFromUtf8(VALUE)).toByteString())
            .toByteArray();
    try (ValueRequest<PutSecretRequest> parsed = requests.parse(new ByteArrayInputStream(wire))) {
      assertThat(text(parsed.value()))
          .isEqualTo(PutSecretRequest.parseFrom(wire).getValue().toStringUtf8());
    }
  }

  @Test
  void aRequestWithoutAValueHasAnEmptyOne() {
    try (ValueRequest<PutSecretRequest> parsed =
        requests.parse(new ByteArrayInputStream(new byte[0]))) {
      assertThat(parsed.value().length()).isZero();
      assertThat(parsed.message()).isEqualTo(PutSecretRequest.getDefaultInstance());
    }
  }

  @Test
  void theLongestValueFitsAndOneByteMoreIsRefusedInItsHandler() {
    byte[] bytes = new byte[SecretValue.MAX_LENGTH + 1];
    Arrays.fill(bytes, (byte) 'x');
    try (ValueRequest<PutSecretRequest> longest =
            requests.parse(
                new Buffers(
                    request(ByteString.copyFrom(bytes, 1, SecretValue.MAX_LENGTH)).toByteArray(),
                    1000));
        ValueRequest<PutSecretRequest> longer =
            requests.parse(new Buffers(request(ByteString.copyFrom(bytes)).toByteArray(), 1000))) {
      assertThat(longest.value().length()).isEqualTo(SecretValue.MAX_LENGTH);
      assertRefused(longer::value, ErrorReason.ERROR_REASON_SECRET_VALUE_INVALID);
    }
  }

  @Test
  void whatIsNoMessageIsRefusedWithoutQuotingIt() throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    CodedOutputStream out = CodedOutputStream.newInstance(bytes);
    out.writeTag(2, 2);
    out.writeUInt32NoTag(1000);
    out.writeRawBytes(VALUE.getBytes(StandardCharsets.UTF_8));
    out.flush();
    assertThatThrownBy(() -> requests.parse(new ByteArrayInputStream(bytes.toByteArray())))
        .isInstanceOf(StatusRuntimeException.class)
        .hasNoCause()
        .hasMessageNotContaining(VALUE);
  }

  @Test
  void nothingThatIsThrownAtItBreaksIt() throws Exception {
    Random random = new Random(42);
    byte[] good = request(ByteString.copyFromUtf8(VALUE)).toByteArray();
    int understood = 0;
    for (int round = 0; round < 20_000; round++) {
      byte[] wire = Arrays.copyOf(good, random.nextInt(good.length + 8));
      for (int i = random.nextInt(4); i > 0 && wire.length > 0; i--) {
        wire[random.nextInt(wire.length)] = (byte) random.nextInt(256);
      }
      PutSecretRequest expected;
      try (ValueRequest<PutSecretRequest> parsed = requests.parse(new ByteArrayInputStream(wire))) {
        // Whatever it takes it understands as the generated class does.
        expected = PutSecretRequest.parseFrom(wire);
        assertThat(text(parsed.value()))
            .isEqualTo(
                expected
                    .getValue()
                    .toString(StandardCharsets.ISO_8859_1)
                    .chars()
                    .collect(
                        StringBuilder::new,
                        (built, c) -> built.append((char) (byte) c),
                        StringBuilder::append)
                    .toString());
        understood++;
      } catch (StatusRuntimeException e) {
        assertThat(e).hasNoCause();
      }
    }
    assertThat(understood).isGreaterThan(1000);
  }

  @Test
  void anAnswerIsWhatTheGeneratedClassReads() throws Exception {
    for (int length : new int[] {0, 1, 127, 128, 16_383, 16_384, SecretValue.MAX_LENGTH}) {
      String text = "v".repeat(length);
      try (Values values = new Values(List.of(value(text), value("second"), value("")));
          InputStream stream = answers.stream(values)) {
        int known = ((KnownLength) stream).available();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        int drained = ((Drainable) stream).drainTo(out);
        assertThat(drained).isEqualTo(known).isEqualTo(out.size());
        assertThat(
                MaterializeResponse.parseFrom(out.toByteArray()).getValuesList().stream()
                    .map(ByteString::toStringUtf8))
            .containsExactly(text, "second", "");
        assertThat(stream.read()).isEqualTo(-1);
      }
    }
  }

  /** A message in direct buffers, as gRPC over Netty gives it. */
  @SuppressWarnings("InputStreamSlowMultibyteRead") // nobody is to read bytes
  private static final class Buffers extends InputStream implements HasByteBuffer, KnownLength {
    final Deque<ByteBuffer> all = new ArrayDeque<>();
    private final Deque<ByteBuffer> rest = new ArrayDeque<>();

    Buffers(byte[] wire, int size) {
      for (int from = 0; from < wire.length; from += size) {
        int length = Math.min(size, wire.length - from);
        ByteBuffer buffer = ByteBuffer.allocateDirect(length).put(0, wire, from, length);
        all.add(buffer);
        rest.add(buffer.duplicate());
      }
    }

    @Override
    public boolean byteBufferSupported() {
      return true;
    }

    @Override
    public ByteBuffer getByteBuffer() {
      return rest.isEmpty() ? ByteBuffer.allocate(0) : rest.peek().slice();
    }

    @Override
    public long skip(long count) {
      ByteBuffer first = rest.element();
      first.position(first.position() + (int) count);
      if (!first.hasRemaining()) {
        rest.remove();
      }
      return count;
    }

    @Override
    public int available() {
      return rest.stream().mapToInt(ByteBuffer::remaining).sum();
    }

    @Override
    public int read() {
      assertThat(rest).as("bytes are taken from buffers").isEmpty();
      return -1;
    }
  }
}
