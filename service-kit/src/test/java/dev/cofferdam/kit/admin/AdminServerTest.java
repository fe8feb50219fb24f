package dev.cofferdam.kit.admin;

import static org.assertj.core.api.Assertions.assertThat;

import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

class AdminServerTest {
  @Test
  void answersMetricsHealthAndReadiness() throws Exception {
    PrometheusMeterRegistry meters = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    meters.counter("cofferdam.things").increment(3);
    AtomicReference<Optional<String>> database =
        new AtomicReference<>(Optional.of("not connected"));
    try (AdminServer server =
            AdminServer.start(
                InetSocketAddress.createUnresolved("127.0.0.1", 0),
                meters,
                Map.of("database", database::get));
        HttpClient client = HttpClient.newHttpClient()) {
      assertThat(get(client, server, "/metrics").body()).contains("cofferdam_things_total 3.0");
      assertThat(get(client, server, "/metrics").body())
          .contains("cofferdam_ready{check=\"database\"} 0.0")
          .contains("jvm_memory_used_bytes{area=\"heap\"")
          .contains("process_cpu_usage")
          .contains("process_files_open_files")
          .contains("process_start_time_seconds");
      assertThat(get(client, server, "/healthz").statusCode()).isEqualTo(200);
      HttpResponse<String> notYet = get(client, server, "/readyz");
      assertThat(notYet.statusCode()).isEqualTo(503);
      assertThat(notYet.body()).isEqualTo("database: not connected\n");
      database.set(Optional.empty());
      assertThat(get(client, server, "/metrics").body())
          .contains("cofferdam_ready{check=\"database\"} 1.0");
      assertThat(get(client, server, "/readyz").statusCode()).isEqualTo(200);
    }
  }

  private static HttpResponse<String> get(HttpClient client, AdminServer server, String path)
      throws Exception {
    return client.send(
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.port() + path)).build(),
        HttpResponse.BodyHandlers.ofString());
  }
}
