package dev.cofferdam.kit.app;

import com.google.errorprone.annotations.CanIgnoreReturnValue;
import java.util.ArrayDeque;
import java.util.Deque;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a service consists of, to be closed in reverse order, whatever of it fails. For one thread
 * at a time.
 */
public final class Parts implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Parts.class);

  private final Deque<Part> parts = new ArrayDeque<>();

  private record Part(Object part, AutoCloseable closing) {}

  /** How a part ends that is not closed by that name. */
  @FunctionalInterface
  public interface Closer<T> {
    void close(T part) throws Exception;
  }

  @CanIgnoreReturnValue
  public <T extends AutoCloseable> T add(T part) {
    return add(part, AutoCloseable::close);
  }

  @CanIgnoreReturnValue
  public <T> T add(T part, Closer<? super T> closer) {
    parts.push(new Part(part, () -> closer.close(part)));
    return part;
  }

  @Override
  public void close() {
    while (!parts.isEmpty()) {
      Part next = parts.pop();
      try {
        next.closing().close();
      } catch (Exception e) {
        log.atWarn()
            .setMessage("close_failed")
            .addKeyValue("part", next.part().getClass().getSimpleName())
            .setCause(e)
            .log();
      }
    }
  }
}
