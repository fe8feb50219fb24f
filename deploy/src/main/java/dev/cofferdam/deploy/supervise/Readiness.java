package dev.cofferdam.deploy.supervise;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** Waits until {@code /readyz} of a service answers 200. */
public final class Readiness implements AutoCloseable {
  private static final Duration INTERVAL = Duration.ofMillis(100);

  private final HttpClient client =
      HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(2)).build();
  private final InstantSource clock;
  private final CountDownLatch cancelled;

  /** Waits end early, with an exception, once {@code cancelled} is counted down. */
  public Readiness(InstantSource clock, CountDownLatch cancelled) {
    this.clock = clock;
    this.cancelled = cancelled;
  }

  /**
   * Returns once the service is ready.
   *
   * @param hopeless why it will never be, once that is known
   * @throws IOException with its last answer, when it is not within {@code limit}
   */
  public void await(String name, URI readyz, Duration limit, Supplier<Optional<String>> hopeless)
      throws IOException, InterruptedException {
    Instant end = clock.instant().plus(limit);
    String last;
    do {
      last = ask(readyz);
      if (last.isEmpty()) {
        return;
      }
      if (hopeless.get().isPresent()) {
        throw new IOException(hopeless.get().get());
      }
      if (cancelled.await(INTERVAL.toMillis(), TimeUnit.MILLISECONDS)) {
        throw new IOException("stopped while waiting for " + name);
      }
    } while (clock.instant().isBefore(end));
    throw new IOException(
        "%s is not ready after %d s: %s".formatted(name, limit.toSeconds(), last));
  }

  private String ask(URI readyz) throws InterruptedException {
    HttpRequest request = HttpRequest.newBuilder(readyz).timeout(Duration.ofSeconds(2)).build();
    try {
      HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());
      return answer.statusCode() == 200
          ? ""
          : "%d %s".formatted(answer.statusCode(), answer.body().strip());
    } catch (IOException e) {
      return e.getClass().getSimpleName();
    }
  }

  @Override
  public void close() {
    client.close();
  }
}
