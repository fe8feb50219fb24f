package dev.cofferdam.loadtest;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Stream;

/** What one service of the mesh under test tells Prometheus. */
final class Metrics implements AutoCloseable {
  private final HttpClient client = HttpClient.newHttpClient();
  private final URI address;

  private Metrics(URI address) {
    this.address = address;
  }

  /**
   * @param service its directory below the mesh's state
   */
  static Metrics of(Path state, String service) throws IOException {
    Properties settings = new Properties();
    try (InputStream in =
        Files.newInputStream(state.resolve(service).resolve("service.properties"))) {
      settings.load(in);
    }
    return new Metrics(URI.create("http://" + settings.getProperty("admin.listen") + "/metrics"));
  }

  /** Each series with its labels, as it is written, and its value. */
  Map<String, Double> read() throws IOException {
    Map<String, Double> series = new HashMap<>();
    try {
      HttpResponse<Stream<String>> answer =
          client.send(HttpRequest.newBuilder(address).build(), HttpResponse.BodyHandlers.ofLines());
      answer
          .body()
          .filter(line -> !line.startsWith("#") && line.indexOf(' ') > 0)
          .forEach(line -> {
            int end = line.lastIndexOf(' ');
            String value = line.substring(end + 1).replace("Inf", "Infinity");
            series.put(line.substring(0, end), Double.parseDouble(value));
          });
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
    return series;
  }

  /** 0 where there is none. */
  double value(String series) throws IOException {
    return read().getOrDefault(series, 0.0);
  }

  @Override
  public void close() {
    client.close();
  }
}
