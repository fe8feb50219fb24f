package dev.cofferdam.node.oci;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** What somebody sends, up to so many bytes and so long. */
final class BoundedBody extends FilterInputStream {
  private final long limit;
  private final CompletableFuture<Void> late;
  private long left;
  private volatile boolean over;

  /**
   * @param patience from now to its end; afterwards it is closed under whoever reads it
   */
  BoundedBody(InputStream body, long limit, Duration patience) {
    super(body);
    this.limit = limit;
    this.left = limit;
    this.late =
        CompletableFuture.runAsync(
            this::cut, CompletableFuture.delayedExecutor(patience.toNanos(), TimeUnit.NANOSECONDS));
  }

  @Override
  public int read() throws IOException {
    byte[] one = new byte[1];
    return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
  }

  @Override
  public int read(byte[] buffer, int offset, int length) throws IOException {
    int count;
    try {
      count = super.read(buffer, offset, length);
    } catch (IOException e) {
      throw over ? tooLate(e) : e;
    }
    if (over) {
      throw tooLate(null);
    }
    left -= Math.max(count, 0);
    if (left < 0) {
      throw new ImageException("a registry sends more than %d bytes".formatted(limit));
    }
    return count;
  }

  @Override
  public boolean markSupported() {
    return false;
  }

  @Override
  public void close() throws IOException {
    late.cancel(false);
    super.close();
  }

  private void cut() {
    over = true;
    try {
      super.close();
    } catch (IOException e) {
      // Whoever reads it finds it closed.
    }
  }

  private static ImageException tooLate(@Nullable IOException cause) {
    String message = "a registry takes too long";
    return cause == null ? new ImageException(message) : new ImageException(message, cause);
  }
}
