package dev.cofferdam.gateway;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;

/**
 * A gateway, its guest and its upstream in a process of their own, whose memory is smaller than any
 * body they exchange. Each side in turn stops in the midst of it, until nothing moves any more.
 *
 * <p>Arguments: a directory, and the bytes of each body.
 */
@SuppressWarnings("try") // closing the harness may throw anything
final class BoundedMemoryRun {
  /** What may be under way between two that wait: buffers of ours and of the kernel's sockets. */
  private static final long MOST_UNDER_WAY = 32L << 20;

  /** Requests beside it during which nothing has moved. */
  private static final int QUIET = 100;

  private final Harness harness;
  private final HttpClient client;
  private final long bytes;

  private BoundedMemoryRun(Harness harness, HttpClient client, long bytes) {
    this.harness = harness;
    this.client = client;
    this.bytes = bytes;
  }

  public static void main(String[] arguments) throws Exception {
    try (Harness harness = new Harness(Path.of(arguments[0]), true)) {
      for (HttpClient.Version version :
          List.of(HttpClient.Version.HTTP_1_1, HttpClient.Version.HTTP_2)) {
        HttpClient client =
            HttpClient.newBuilder()
                .localAddress(InetAddress.getByName(Harness.SLOT))
                .sslContext(harness.lineage.client())
                .version(version)
                .build();
        BoundedMemoryRun run = new BoundedMemoryRun(harness, client, Long.parseLong(arguments[1]));
        run.download(false);
        run.download(true);
        run.upload();
        client.shutdownNow();
      }
    }
    System.out.println("all of it passed");
  }

  private HttpRequest.Builder request(String path) {
    return HttpRequest.newBuilder(URI.create("https://api.example.test:" + harness.port + path));
  }

  /**
   * Asks for something else until nothing has moved meanwhile.
   *
   * @return how much had moved by then
   */
  private long still(LongSupplier moved) throws Exception {
    long last = -1;
    for (int quiet = 0; quiet < QUIET; quiet++) {
      long now = moved.getAsLong();
      if (now != last) {
        quiet = 0;
        last = now;
      }
      check(
          client
                  .send(request("/beside").build(), HttpResponse.BodyHandlers.discarding())
                  .statusCode()
              == 200,
          "a request beside a body that waits was not answered");
    }
    return last;
  }

  /**
   * @param secret whether a value is in it, again and again, and has to be taken out
   */
  private void download(boolean secret) throws Exception {
    long began = System.nanoTime();
    byte[] period =
        (LongBodies.FILLER + (secret ? "Bearer " + Harness.PLACEHOLDER : "null") + "\n")
            .getBytes(StandardCharsets.US_ASCII);
    long times = bytes / period.length;
    harness.upstream.longBodies.given.set(0);
    HttpRequest.Builder request = request("/long/" + times);
    if (secret) {
      request.header("Authorization", "Bearer " + Harness.PLACEHOLDER);
    }
    try (InputStream body =
        client.send(request.build(), HttpResponse.BodyHandlers.ofInputStream()).body()) {
      long given = still(harness.upstream.longBodies.given::get);
      check(given < MOST_UNDER_WAY, given + " bytes were taken of an upstream for nobody");
      byte[] heard = new byte[period.length];
      for (long i = 0; i < times; i++) {
        int length = body.readNBytes(heard, 0, heard.length);
        check(length == heard.length && Arrays.equals(heard, period), "another answer, at " + i);
      }
      check(body.read() < 0, "more than the answer");
      say("download", secret, given, began);
    }
  }

  private void upload() throws Exception {
    long began = System.nanoTime();
    AtomicLong sent = new AtomicLong();
    CompletableFuture<HttpResponse<String>> answer =
        client.sendAsync(
            request("/take").POST(new Zeros(bytes, sent)).build(),
            HttpResponse.BodyHandlers.ofString());
    long given = still(sent::get);
    check(given < MOST_UNDER_WAY, given + " bytes were taken of a guest for nobody");
    harness.upstream.longBodies.mayTake.release();
    check(
        answer.get(20, TimeUnit.MINUTES).body().equals("took " + bytes),
        "the upstream heard another body");
    say("upload", false, given, began);
  }

  private void say(String what, boolean secret, long given, long began) {
    System.out.printf(
        "%s over %s%s: %d MiB, %d KiB under way while nobody took it, %d ms%n",
        what,
        client.version(),
        secret ? " with a secret in it" : "",
        bytes >> 20,
        given >> 10,
        TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began));
  }

  private static void check(boolean right, String otherwise) throws IOException {
    if (!right) {
      throw new IOException(otherwise);
    }
  }

  /** Of which each part is made when it is asked for, and counted. */
  private record Zeros(long bytes, AtomicLong sent) implements HttpRequest.BodyPublisher {
    private static final int PART = 16 << 10;

    @Override
    public long contentLength() {
      return -1;
    }

    @Override
    public void subscribe(Flow.Subscriber<? super ByteBuffer> subscriber) {
      subscriber.onSubscribe(
          new Flow.Subscription() {
            private long left = bytes;
            private long asked;
            private boolean giving;

            @Override
            public void request(long n) {
              asked += n;
              if (giving) {
                return;
              }
              giving = true;
              while (asked > 0 && left > 0) {
                asked--;
                int part = (int) Math.min(PART, left);
                left -= part;
                sent.addAndGet(part);
                subscriber.onNext(ByteBuffer.allocate(part));
                if (left == 0) {
                  subscriber.onComplete();
                }
              }
              giving = false;
            }

            @Override
            public void cancel() {
              left = 0;
            }
          });
    }
  }
}
