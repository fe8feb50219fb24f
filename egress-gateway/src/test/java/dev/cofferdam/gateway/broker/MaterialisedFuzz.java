package dev.cofferdam.gateway.broker;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.internal.v1.MaterializeResponse;
import io.grpc.StatusRuntimeException;
import java.io.ByteArrayInputStream;
import java.util.List;

/**
 * Whatever the broker answers: what is taken for values protobuf's own reader takes for the same.
 */
public final class MaterialisedFuzz {
  private MaterialisedFuzz() {}

  public static void fuzzerTestOneInput(byte[] input) {
    List<SecretValue> values;
    try {
      values = new MaterialisedMarshaller().parse(new ByteArrayInputStream(input));
    } catch (StatusRuntimeException e) {
      // As it should be.
      return;
    }
    List<ByteString> read = values.stream().map(MaterialisedFuzz::bytes).toList();
    values.forEach(SecretValue::close);
    try {
      if (!MaterializeResponse.parseFrom(input).getValuesList().equals(read)) {
        throw new AssertionError("read as " + read);
      }
    } catch (InvalidProtocolBufferException e) {
      throw new AssertionError("read as " + read, e);
    }
  }

  private static ByteString bytes(SecretValue value) {
    byte[] bytes = new byte[value.length()];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) value.at(i);
    }
    return ByteString.copyFrom(bytes);
  }
}
