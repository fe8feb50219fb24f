package dev.cofferdam.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * A secret's value on its way from the person to the broker; wiped on close. One newline at its end
 * is no part of it: shells and editors put it there, and a value cannot hold one.
 */
final class SecretValue implements AutoCloseable {
  /** One byte more than the broker takes: enough for it to say so itself. */
  private static final int LIMIT = 65_537;

  private final byte[] bytes;

  private SecretValue(byte[] read, int length) {
    int end = length > 0 && read[length - 1] == '\n' ? length - 1 : length;
    bytes = Arrays.copyOf(read, end);
    Arrays.fill(read, (byte) 0);
  }

  static SecretValue ofInput(Context context) throws IOException {
    if (!context.terminal().interactive()) {
      return of(context.in());
    }
    char[] typed = context.terminal().readHidden("value (not shown): ");
    // At most 3 bytes for each UTF-16 unit; a buffer of our own, so that all of it is wiped.
    ByteBuffer encoded = ByteBuffer.wrap(new byte[3 * typed.length]);
    StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(typed), encoded, true);
    Arrays.fill(typed, '\0');
    return new SecretValue(encoded.array(), encoded.position());
  }

  static SecretValue ofFile(Path file) throws IOException {
    if (!Files.isReadable(file)) {
      throw new ClientException("cannot read " + file);
    }
    try (InputStream in = Files.newInputStream(file)) {
      return of(in);
    }
  }

  private static SecretValue of(InputStream in) throws IOException {
    byte[] buffer = new byte[LIMIT + 1];
    return new SecretValue(buffer, in.readNBytes(buffer, 0, buffer.length));
  }

  byte[] bytes() {
    return bytes;
  }

  @Override
  public void close() {
    Arrays.fill(bytes, (byte) 0);
  }

  @Override
  public String toString() {
    return "SecretValue[" + bytes.length + " bytes]";
  }
}
