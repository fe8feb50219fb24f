package dev.cofferdam.broker.api;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Parser;
import dev.cofferdam.broker.secret.SecretValue;
import io.grpc.HasByteBuffer;
import io.grpc.MethodDescriptor.Marshaller;
import io.grpc.Status;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.Optional;

/**
 * Reads a request whose field 2 is a secret's value, from gRPC's buffers straight into off-heap
 * memory. The value makes no step over the heap; the buffers that it came in, which belong to this
 * message alone, are zeroed behind it.
 */
final class ValueRequestMarshaller<T> implements Marshaller<ValueRequest<T>> {
  /** Of {@code PutSecretRequest} and {@code RotateSecretRequest}. */
  static final int VALUE_FIELD = 2;

  private final Parser<T> rest;

  /**
   * @param rest reads the message without the value
   */
  ValueRequestMarshaller(Parser<T> rest) {
    this.rest = rest;
  }

  @Override
  public InputStream stream(ValueRequest<T> request) {
    throw new UnsupportedOperationException("the broker takes such requests and sends none");
  }

  @Override
  public ValueRequest<T> parse(InputStream stream) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment message = arena.allocate(Math.max(stream.available(), 1));
      try {
        long length = fill(message, stream);
        return split(message.asSlice(0, length));
      } finally {
        message.fill((byte) 0);
      }
    } catch (IOException e) {
      // Without the cause: nothing of such a message goes into an exception.
      throw Status.INVALID_ARGUMENT
          .withDescription("the request is malformed")
          .asRuntimeException();
    }
  }

  private static long fill(MemorySegment target, InputStream stream) throws IOException {
    long filled = 0;
    while (true) {
      // Asked anew each time: one message may come in buffers of several kinds.
      ByteBuffer buffer =
          stream instanceof HasByteBuffer has && has.byteBufferSupported()
              ? has.getByteBuffer()
              : null;
      if (buffer != null && buffer.hasRemaining()) {
        MemorySegment source = MemorySegment.ofBuffer(buffer);
        long length = source.byteSize();
        MemorySegment.copy(source, 0, target, filled, length);
        if (!source.isReadOnly()) {
          source.fill((byte) 0);
        }
        skip(stream, length);
        filled += length;
      } else {
        int next = stream.read();
        if (next < 0) {
          return filled;
        }
        target.set(ValueLayout.JAVA_BYTE, filled++, (byte) next);
      }
    }
  }

  private static void skip(InputStream stream, long length) throws IOException {
    if (stream.skip(length) != length) {
      throw new IOException("a buffer shorter than it said");
    }
  }

  /** The last value counts, as protobuf has it; what is no value goes to the generated parser. */
  private ValueRequest<T> split(MemorySegment message) throws IOException {
    ByteArrayOutputStream others = new ByteArrayOutputStream();
    MemorySegment value = message.asSlice(0, 0);
    WireReader reader = new WireReader(message);
    while (reader.next()) {
      if (reader.field() == VALUE_FIELD && reader.isBytes()) {
        value = reader.content();
      } else {
        reader.copyTo(others);
      }
    }
    T parsed;
    try {
      parsed = rest.parseFrom(others.toByteArray());
    } catch (InvalidProtocolBufferException e) {
      throw new IOException("malformed");
    }
    long length = value.byteSize();
    return new ValueRequest<>(
        parsed,
        length <= SecretValue.MAX_LENGTH
            ? Optional.of(SecretValue.copyOf(value))
            : Optional.empty(),
        length);
  }
}
