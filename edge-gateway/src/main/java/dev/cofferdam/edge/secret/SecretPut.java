package dev.cofferdam.edge.secret;

import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.WireFormat;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.Secret;
import dev.cofferdam.v1.SecretServiceGrpc;
import io.grpc.Drainable;
import io.grpc.KnownLength;
import io.grpc.MethodDescriptor;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/**
 * A PutSecret whose value goes from its own memory to the connection's buffers without being in an
 * array on the way.
 *
 * @param rest everything but the value
 * @param value stays its owner's to close
 */
public record SecretPut(PutSecretRequest rest, HeldValue value) {
  private static final int VALUE_FIELD = PutSecretRequest.VALUE_FIELD_NUMBER;

  public SecretPut {
    if (!rest.getValue().isEmpty()) {
      throw new IllegalArgumentException("the value is not in the rest");
    }
  }

  /** The method as the broker knows it, with this as its request. */
  public static MethodDescriptor<SecretPut, Secret> method() {
    MethodDescriptor<PutSecretRequest, Secret> generated = SecretServiceGrpc.getPutSecretMethod();
    return generated.toBuilder(new Marshaller(), generated.getResponseMarshaller()).build();
  }

  private static final class Marshaller implements MethodDescriptor.Marshaller<SecretPut> {
    @Override
    public InputStream stream(SecretPut put) {
      return new Encoded(put);
    }

    @Override
    public SecretPut parse(InputStream stream) {
      throw new UnsupportedOperationException("the edge sends such requests and takes none");
    }
  }

  /**
   * gRPC asks for the length and then drains. It is never read: that would go through an array of
   * gRPC's own.
   */
  private static final class Encoded extends InputStream implements Drainable, KnownLength {
    private final SecretPut put;

    Encoded(SecretPut put) {
      this.put = put;
    }

    @Override
    public int available() {
      int length = put.value().length();
      return put.rest().getSerializedSize()
          + CodedOutputStream.computeTagSize(VALUE_FIELD)
          + CodedOutputStream.computeUInt32SizeNoTag(length)
          + length;
    }

    @Override
    public int drainTo(OutputStream target) throws IOException {
      put.rest().writeTo(target);
      CodedOutputStream prefix = CodedOutputStream.newInstance(target, 16);
      prefix.writeTag(VALUE_FIELD, WireFormat.WIRETYPE_LENGTH_DELIMITED);
      prefix.writeUInt32NoTag(put.value().length());
      prefix.flush();
      // A byte at a time: an array of them would be a copy on the heap.
      for (int i = 0; i < put.value().length(); i++) {
        target.write(put.value().at(i));
      }
      return available();
    }

    @Override
    public int read() {
      throw new UnsupportedOperationException("a value is drained, never read");
    }

    @Override
    public int read(byte[] target, int offset, int length) {
      return read();
    }
  }
}
