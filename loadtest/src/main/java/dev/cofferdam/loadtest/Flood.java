package dev.cofferdam.loadtest;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;

/** Clients that go as fast as they can, or at a rate, while another is measured. */
final class Flood implements AutoCloseable {
  private final List<ClientProcess> clients = new ArrayList<>();
  private final ExecutorService threads;

  Flood(ExecutorService threads) {
    this.threads = threads;
  }

  /**
   * At the lowest priority: on a machine that it shares with the mesh a flood's own client would
   * else be what is measured.
   *
   * @param prefix of the client's command, which puts it where it speaks from
   */
  void add(List<String> prefix, List<String> options) throws IOException {
    List<String> words = new ArrayList<>(prefix);
    words.addAll(List.of("nice", "-n", "19"));
    ClientProcess client = ClientProcess.start(words, options);
    clients.add(client);
    var _ = client.opened();
  }

  List<Long> pids() {
    return clients.stream().map(ClientProcess::pid).toList();
  }

  /** What a client is told to do. */
  interface Order {
    LoadClient.Round to(ClientProcess client) throws IOException;
  }

  /** It is under way when this returns; requests per second of each client when it has ended. */
  CompletableFuture<List<Double>> begin(Order order) {
    List<CompletableFuture<Double>> all =
        clients.stream()
            .map(client ->
                CompletableFuture.supplyAsync(
                    () -> {
                      try {
                        return order.to(client).perSecond();
                      } catch (IOException e) {
                        throw new UncheckedIOException(e);
                      }
                    },
                    threads))
            .toList();
    return CompletableFuture.allOf(all.toArray(CompletableFuture[]::new))
        .thenApply(_ -> all.stream().map(CompletableFuture::join).toList());
  }

  /**
   * @throws IOException that a client failed with
   */
  static List<Double> await(CompletableFuture<List<Double>> flood) throws IOException {
    try {
      return flood.join();
    } catch (CompletionException e) {
      throw new IOException("the flood's client failed", e);
    }
  }

  @Override
  public void close() {
    clients.forEach(ClientProcess::close);
  }
}
