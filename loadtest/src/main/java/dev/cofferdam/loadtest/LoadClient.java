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
 * measures from. Each of its connections makes a request as it is opened, because a server bounds
 * the time until then; then it says so in a line like the others. It does what its standard input
 * says, a line at a time ({@code rate REQUESTS_PER_SECOND MILLISECONDS}, {@code full MILLISECONDS}
 * or {@code once}, one request over each connection after the other), and answers each with one
 * line of JSON. Connections are kept open from line to line.
 */
@Command(name = "client", hidden = true, mixinStandardHelpOptions = true)
final class LoadClient implements Callable<Integer> {
  private static final ObjectMapper MAPPER = new ObjectMapper();

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

  @Option(names = "--upload", paramLabel = "BYTES", description = "With a body, by POST.")
  private long upload;

  @Option(names = "--status", description = "Expected (default: ${DEFAULT-VALUE}).")
  private int status = 200;

  @Option(names = "--connections")
  private int connections = 8;

  @Spec private CommandSpec spec = CommandSpec.create();

  /**
   * Of one line.
   *
   * @param perSecond requests that were answered, per second of the whole round
   */
  record Round(Percentiles times, double perSecond) {
    /**
     * @param nanos of each request
     * @param begin of the round
     */
    static Round of(LongStream nanos, long begin) {
      double seconds = (System.nanoTime() - begin) / 1e9;
      long[] times = nanos.toArray();
      return new Round(Percentiles.ofNanos(times), times.length / seconds);
    }
  }

  @Override
  public Integer call() throws Exception {
    LoadRequest request = LoadRequest.of(host, path, headers, upload, status);
    HttpsConnection.Destination destination =
        new HttpsConnection.Destination(
            new InetSocketAddress(address, port),
            proxy(),
            host,
            HttpsConnection.trusting(authority));
    List<HttpsConnection> open = new ArrayList<>();
    try (ExecutorService workers = Executors.newFixedThreadPool(connections);
        BufferedReader commands =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
      long begin = System.nanoTime();
      LongStream.Builder opening = LongStream.builder();
      for (int i = 0; i < connections; i++) {
        long due = System.nanoTime();
        HttpsConnection connection = HttpsConnection.open(destination, request);
        open.add(connection);
        connection.exchange();
        opening.add(System.nanoTime() - due);
      }
      answer(Round.of(opening.build(), begin));
      for (String line = commands.readLine(); line != null; line = commands.readLine()) {
        answer(obey(line, workers, open));
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

  private void answer(Round round) throws IOException {
    PrintWriter out = spec.commandLine().getOut();
    out.println(MAPPER.writeValueAsString(round));
    out.flush();
  }

  private static Round obey(String line, ExecutorService workers, List<HttpsConnection> open)
      throws IOException, InterruptedException, ExecutionException {
    String[] words = line.split(" ", -1);
    return switch (words[0]) {
      case "rate" ->
          round(
              workers,
              open,
              TimeUnit.SECONDS.toNanos(1) / Long.parseLong(words[1]),
              TimeUnit.MILLISECONDS.toNanos(Long.parseLong(words[2])));
      case "full" ->
          round(workers, open, 0, TimeUnit.MILLISECONDS.toNanos(Long.parseLong(words[1])));
      case "once" -> once(open);
      default -> throw new IllegalArgumentException("unknown command '" + line + "'");
    };
  }

  private static Round once(List<HttpsConnection> open) throws IOException {
    long begin = System.nanoTime();
    LongStream.Builder times = LongStream.builder();
    for (HttpsConnection connection : open) {
      long due = System.nanoTime();
      connection.exchange();
      times.add(System.nanoTime() - due);
    }
    return Round.of(times.build(), begin);
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
    return Round.of(all.stream().flatMapToLong(LongStream::of), begin);
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
