package dev.cofferdam.gateway.broker;

import com.google.protobuf.WireFormat;
import dev.cofferdam.gateway.scrub.SecretValue;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;

/**
 * Reads {@code MaterializeResponse} straight into off-heap memory, a byte at a time: a generated
 * message would leave each value in arrays that no one can zero.
 *
 * <p>Source of the format: protobuf's encoding, {@code repeated bytes values = 1}.
 */
final class MaterialisedMarshaller implements MethodDescriptor.Marshaller<List<SecretValue>> {
  /** {@code PutSecretRequest.value} holds no more. */
  private static final int MAX_VALUE_BYTES = 65_536;

  private static final int VALUES = 1 << 3 | WireFormat.WIRETYPE_LENGTH_DELIMITED;

  @Override
  public InputStream stream(List<SecretValue> value) {
    throw new UnsupportedOperationException("a gateway hands no values out");
  }

  @Override
  public List<SecretValue> parse(InputStream in) {
    List<SecretValue> values = new ArrayList<>();
    boolean whole = false;
    try {
      for (int tag = in.read(); tag >= 0; tag = in.read()) {
        if (tag != VALUES) {
          throw malformed("field tag " + tag + ", expected " + VALUES);
        }
        SecretValue value = new SecretValue(length(in));
        values.add(value);
        for (int i = 0; i < value.length(); i++) {
          value.set(i, (byte) byteOf(in));
        }
      }
      whole = true;
      return values;
    } catch (IOException e) {
      throw malformed("the answer broke off");
    } finally {
      if (!whole) {
        values.forEach(SecretValue::close);
      }
    }
  }

  private static int length(InputStream in) throws IOException {
    int length = 0;
    for (int shift = 0; shift < 28; shift += 7) {
      int b = byteOf(in);
      length |= (b & 127) << shift;
      if (b < 128) {
        if (length > MAX_VALUE_BYTES) {
          break;
        }
        return length;
      }
    }
    throw malformed("a value of more than " + MAX_VALUE_BYTES + " bytes");
  }

  private static int byteOf(InputStream in) throws IOException {
    int b = in.read();
    if (b < 0) {
      throw malformed("the answer broke off");
    }
    return b;
  }

  private static RuntimeException malformed(String what) {
    return Status.INTERNAL.withDescription("Materialize: " + what).asRuntimeException();
  }
}
