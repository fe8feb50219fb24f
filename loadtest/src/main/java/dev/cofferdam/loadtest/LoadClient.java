package dev.cofferdam.loadtest;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * The load generator: a process of its own, because it has to live in the network namespace that it
 * measures from. It does what its standard input says, a line at a time ({@code rate
 * REQUESTS_PER_SECOND MILLISECONDS} or {@code full MILLISECONDS}), and answers each with one line
 * of JSON. Connections are kept open from line to line.
 */
@Command(name = "client", hidden = true, mixinStandardHelpOptions = true)
final class LoadClient implements Callable<Integer> {
  @Option(names = "--address", required = true)
  private String address = "";

  @Option(names = "--port")
  private int port = 443;

  @Option(names = "--host", required = true)
  private String host = "";

  @Option(names = "--path", required = true)
  private String path = "";

  @Option(names = "--authority", required = true)
  private Path authority = Path.of("");

  @Option(names = "--proxy", paramLabel = "HOST:PORT", description = "By CONNECT.")
  private @Nullable String proxy;

  @Option(names = "--header")
  private List<String> headers = new ArrayList<>();

  @Option(names = "--connections")
  private int connections = 8;

  @Spec private CommandSpec spec = CommandSpec.create();

  /**
   * Of one line.
   *
   * @param perSecond requests that were answered, per second of the whole round
   */
  record Round(Percentiles times, double perSecond) {}

  @Override
  public Integer call() throws Exception {
    byte[] request = request();
    List<HttpsConnection> open = new ArrayList<>();
    try (ExecutorService workers = Executors.newFixedThreadPool(connections);
        BufferedReader commands =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
      for (int i = 0; i < connections; i++) {
        open.add(
            HttpsConnection.open(
                new InetSocketAddress(address, port), proxy(), host, authority, request));
      }
      PrintWriter out = spec.commandLine().getOut();
      ObjectMapper mapper = new ObjectMapper();
      for (String line = commands.readLine(); line != null; line = commands.readLine()) {
        String[] words = line.split(" ", -1);
        long nanosPerRequest =
            switch (words[0]) {
              case "rate" -> TimeUnit.SECONDS.toNanos(1) / Long.parseLong(words[1]);
              case "full" -> 0;
              default -> throw new IllegalArgumentException("unknown command '" + line + "'");
            };
        long length = TimeUnit.MILLISECONDS.toNanos(Long.parseLong(words[words.length - 1]));
        out.println(mapper.writeValueAsString(round(workers, open, nanosPerRequest, length)));
        out.flush();
      }
    } finally {
      for (HttpsConnection connection : open) {
        connection.close();
      }
    }
    return 0;
  }

  private Optional<InetSocketAddress> proxy() {
    return Optional.ofNullable(proxy)
        .map(text -> text.split(":", 2))
        .map(words -> new InetSocketAddress(words[0], Integer.parseInt(words[1])));
  }

  private byte[] request() {
    StringBuilder text = new StringBuilder("GET ").append(path).append(" HTTP/1.1\r\n");
    text.append("Host: ").append(host).append("\r\n");
    headers.forEach(header -> text.append(header).append("\r\n"));
    return text.append("\r\n").toString().getBytes(StandardCharsets.US_ASCII);
  }

  /**
   * With a pace, the time of a request counts from when it was due, not from when a connection was
   * free to send it: a server that stalls is charged for the queue it causes.
   */
  private static Round round(
      ExecutorService workers, List<HttpsConnection> open, long nanosPerRequest, long length)
      throws InterruptedException, ExecutionException {
    long begin = System.nanoTime();
    AtomicLong next = new AtomicLong();
    List<Future<long[]>> pending = new ArrayList<>();
    for (HttpsConnection connection : open) {
      pending.add(
          workers.submit(() -> work(connection, next, begin, nanosPerRequest, begin + length)));
    }
    List<long[]> all = new ArrayList<>();
    for (Future<long[]> times : pending) {
      all.add(times.get());
    }
    double seconds = (System.nanoTime() - begin) / 1e9;
    long[] times = all.stream().flatMapToLong(LongStream::of).toArray();
    return new Round(Percentiles.ofNanos(times), times.length / seconds);
  }

  private static long[] work(
      HttpsConnection connection, AtomicLong next, long begin, long nanosPerRequest, long end)
      throws IOException {
    LongStream.Builder times = LongStream.builder();
    while (true) {
      long due =
          nanosPerRequest == 0
              ? System.nanoTime()
              : begin + next.getAndIncrement() * nanosPerRequest;
      if (due >= end) {
        return times.build().toArray();
      }
      for (long wait = due - System.nanoTime(); wait > 0; wait = due - System.nanoTime()) {
        LockSupport.parkNanos(wait);
      }
      connection.exchange();
      times.add(System.nanoTime() - due);
    }
  }
}
