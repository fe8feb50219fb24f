package dev.cofferdam.broker.api;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.cofferdam.v1.PutSecretRequest;
import io.grpc.StatusRuntimeException;
import java.io.ByteArrayInputStream;

/** Whatever is sent as a secret: what is taken is what the generated class reads, or is refused. */
public final class ValueRequestFuzz {
  private static final ValueRequestMarshaller<PutSecretRequest> REQUESTS =
      new ValueRequestMarshaller<>(PutSecretRequest.parser());

  private ValueRequestFuzz() {}

  public static void fuzzerTestOneInput(byte[] input) {
    try (ValueRequest<PutSecretRequest> parsed = REQUESTS.parse(new ByteArrayInputStream(input))) {
      byte[] expected = PutSecretRequest.parseFrom(input).getValue().toByteArray();
      boolean same = parsed.value().length() == expected.length;
      for (int i = 0; same && i < expected.length; i++) {
        same = parsed.value().at(i) == expected[i];
      }
      if (!same) {
        throw new AssertionError("the value is not the one of the message");
      }
    } catch (StatusRuntimeException e) {
      // As it should be.
    } catch (InvalidProtocolBufferException e) {
      throw new AssertionError("taken, though it is no message", e);
    }
  }
}
