package dev.cofferdam.broker.api;

import dev.cofferdam.broker.secret.SecretValue;
import io.grpc.Drainable;
import io.grpc.KnownLength;
import io.grpc.MethodDescriptor.Marshaller;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.Iterator;

/**
 * Writes {@code MaterializeResponse} from off-heap memory, byte by byte, into gRPC's own buffers:
 * no array of ours ever holds a part of a value.
 */
final class ValuesMarshaller implements Marshaller<Values> {
  /** {@code repeated bytes values = 1}: field 1, wire type 2. */
  private static final int TAG = 1 << 3 | 2;

  @Override
  public Values parse(InputStream stream) {
    throw new UnsupportedOperationException("the broker sends such answers and takes none");
  }

  @Override
  public InputStream stream(Values values) {
    return new Stream(values);
  }

  /** gRPC reads it while it sends, on the sender's thread; the sender closes the values. */
  // Many bytes at once would mean an array, which is what this class is there to avoid.
  @SuppressWarnings("InputStreamSlowMultibyteRead")
  private static final class Stream extends InputStream implements Drainable, KnownLength {
    private final Iterator<SecretValue> rest;
    private int left;
    // The field that is being written: first its head, then its value.
    private int head;
    private int headLength;
    private int at;
    private SecretValue current;

    @SuppressWarnings("NullAway.Init") // begin() is called before current is read
    Stream(Values values) {
      rest = values.values().iterator();
      for (SecretValue value : values.values()) {
        left += 1 + varintLength(value.length()) + value.length();
      }
    }

    @Override
    public int available() {
      return left;
    }

    @Override
    public int read() {
      if (left == 0) {
        return -1;
      }
      if (headLength == 0 || at == headLength + current.length()) {
        begin(rest.next());
      }
      left--;
      int index = at++;
      return index < headLength ? headByte(index) : current.at(index - headLength) & 0xff;
    }

    @Override
    public int drainTo(OutputStream target) throws IOException {
      int count = 0;
      for (int next = read(); next >= 0; next = read()) {
        target.write(next);
        count++;
      }
      return count;
    }

    private void begin(SecretValue value) {
      current = value;
      head = value.length();
      headLength = 1 + varintLength(head);
      at = 0;
    }

    private int headByte(int index) {
      if (index == 0) {
        return TAG;
      }
      int bits = (head >>> (7 * (index - 1))) & 0x7f;
      return index == headLength - 1 ? bits : bits | 0x80;
    }

    private static int varintLength(int number) {
      int length = 1;
      for (int rest = number >>> 7; rest != 0; rest >>>= 7) {
        length++;
      }
      return length;
    }
  }
}
