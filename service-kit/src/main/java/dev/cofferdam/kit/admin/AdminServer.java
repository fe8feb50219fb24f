package dev.cofferdam.kit.admin;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import dev.cofferdam.kit.metrics.ProcessMeters;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Supplier;

/**
 * {@code /metrics} for Prometheus, {@code /healthz} (200 as long as the process answers) and {@code
 * /readyz} (200 once every check says nothing, else 503 with what each says). Plain HTTP: bind it
 * to loopback.
 */
public final class AdminServer implements AutoCloseable {
  private final HttpServer server;
  private final ExecutorService executor;
  private final ProcessMeters process;

  private AdminServer(HttpServer server, ExecutorService executor, ProcessMeters process) {
    this.server = server;
    this.executor = executor;
    this.process = process;
  }

  /**
   * Adds {@code cofferdam_ready{check}} (1 or 0) and the process's own meters.
   *
   * @param readiness by name; empty means ready, else why not
   * @throws IOException when the address cannot be had
   */
  public static AdminServer start(
      InetSocketAddress address,
      PrometheusMeterRegistry meters,
      Map<String, Supplier<Optional<String>>> readiness)
      throws IOException {
    Map<String, Supplier<Optional<String>>> checks = new TreeMap<>(readiness);
    HttpServer server =
        HttpServer.create(
            new InetSocketAddress(
                InetAddress.getByName(address.getHostString()), address.getPort()),
            0);
    ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor();
    server.setExecutor(executor);
    server.createContext(
        "/metrics",
        exchange ->
            answer(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", meters.scrape()));
    server.createContext("/healthz", exchange -> answer(exchange, 200, "text/plain", "ok\n"));
    server.createContext("/readyz", exchange -> ready(exchange, checks));
    checks.forEach((name, check) ->
        Gauge.builder("cofferdam.ready", () -> check.get().isEmpty() ? 1 : 0)
            .description("Whether a check of /readyz says nothing")
            .tag("check", name)
            .register(meters));
    server.start();
    return new AdminServer(server, executor, ProcessMeters.of(meters));
  }

  public int port() {
    return server.getAddress().getPort();
  }

  @Override
  public void close() {
    server.stop(0);
    executor.shutdownNow();
    process.close();
  }

  private static void ready(HttpExchange exchange, Map<String, Supplier<Optional<String>>> checks)
      throws IOException {
    StringBuilder text = new StringBuilder();
    boolean ready = true;
    for (Map.Entry<String, Supplier<Optional<String>>> check : checks.entrySet()) {
      Optional<String> why = check.getValue().get();
      ready &= why.isEmpty();
      text.append(check.getKey()).append(": ").append(why.orElse("ready")).append('\n');
    }
    answer(exchange, ready ? 200 : 503, "text/plain; charset=utf-8", text.toString());
  }

  private static void answer(HttpExchange exchange, int status, String type, String body)
      throws IOException {
    try (exchange) {
      byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
      exchange.getResponseHeaders().set("Content-Type", type);
      exchange.sendResponseHeaders(status, bytes.length == 0 ? -1 : bytes.length);
      exchange.getResponseBody().write(bytes);
    }
  }
}
