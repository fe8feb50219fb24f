package dev.cofferdam.edge;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** A client that says what an SDK would, and what none would. */
final class Sdk implements AutoCloseable {
  static final String BOTH = "ddo_" + FakeMesh.TOKEN + "." + FakeMesh.SECRETS_TOKEN;

  private static final ObjectMapper JSON = new ObjectMapper();
  private final HttpClient http =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final int port;

  Sdk(int port) {
    this.port = port;
  }

  Socket create(String token, String config) {
    return open("/api/v3/sandboxes/create", token, config);
  }

  Socket connect(String token, String id) {
    return open("/api/v3/sandbox/" + id + "/connect", token, "");
  }

  private Socket open(String path, String token, String config) {
    Socket socket = new Socket();
    WebSocket.Builder builder =
        http.newWebSocketBuilder().header("Authorization", "Bearer " + token);
    if (!config.isEmpty()) {
      builder.header(
          "x-deno-sandbox-config",
          Base64.getEncoder().encodeToString(config.getBytes(StandardCharsets.ISO_8859_1)));
    }
    socket.socket = builder.buildAsync(URI.create("ws://127.0.0.1:" + port + path), socket).join();
    return socket;
  }

  HttpResponse<String> send(String method, String path, String token, String body)
      throws IOException, InterruptedException {
    return http.send(
        HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + path))
            .header("Authorization", "Bearer " + token)
            .method(method, HttpRequest.BodyPublishers.ofString(body))
            .build(),
        HttpResponse.BodyHandlers.ofString());
  }

  @Override
  public void close() {
    http.shutdownNow();
  }

  /** One socket. Reads no more than is asked for. */
  static final class Socket implements WebSocket.Listener {
    private @Nullable WebSocket socket;
    private final StringBuilder text = new StringBuilder();
    private final BlockingQueue<JsonNode> messages = new LinkedBlockingQueue<>();
    private final BlockingQueue<String> raw = new LinkedBlockingQueue<>();
    private final CompletableFuture<Integer> closed = new CompletableFuture<>();
    private volatile boolean reading = true;
    private int calls;

    @Override
    public CompletionStage<?> onText(WebSocket from, CharSequence data, boolean last) {
      text.append(data);
      if (last) {
        String whole = text.toString();
        text.setLength(0);
        if (whole.startsWith("{")) {
          try {
            messages.add(JSON.readTree(whole));
          } catch (IOException e) {
            closed.completeExceptionally(e);
          }
        } else {
          raw.add(whole);
        }
      }
      if (reading) {
        from.request(1);
      }
      return CompletableFuture.completedFuture(null);
    }

    @Override
    public CompletionStage<?> onClose(WebSocket from, int status, String reason) {
      closed.complete(status);
      return CompletableFuture.completedFuture(null);
    }

    @Override
    public void onError(WebSocket from, Throwable failure) {
      closed.completeExceptionally(failure);
    }

    WebSocket socket() {
      WebSocket open = socket;
      if (open == null) {
        throw new IllegalStateException("not open yet");
      }
      return open;
    }

    void stopReading() {
      reading = false;
    }

    void send(String message) {
      var _ = socket().sendText(message, true).orTimeout(60, TimeUnit.SECONDS).join();
    }

    void call(int id, String method, String params) {
      send(
          "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"%s\",\"params\":%s}"
              .formatted(id, method, params));
    }

    /** A call with the next id, which is returned. */
    int call(String method, String params) {
      calls++;
      call(calls, method, params);
      return calls;
    }

    /** A call and its answer. */
    JsonNode ask(String method, String params) throws InterruptedException {
      return answer(call(method, params));
    }

    /** The result of a call that is expected to have one. */
    JsonNode ok(String method, String params) throws InterruptedException {
      JsonNode answer = ask(method, params);
      assertThat(answer.path("result").has("ok")).as(answer.toString()).isTrue();
      return answer.at("/result/ok");
    }

    void notify(String method, String params) {
      send("{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":%s}".formatted(method, params));
    }

    JsonNode next() throws InterruptedException {
      JsonNode message = messages.poll(60, TimeUnit.SECONDS);
      if (message == null) {
        throw new AssertionError("no message within 60 s");
      }
      return message;
    }

    /** The answer of a call; what else comes before it is passed over. */
    JsonNode answer(int id) throws InterruptedException {
      JsonNode message = next();
      while (!message.path("id").isInt() || message.path("id").asInt() != id) {
        message = next();
      }
      return message;
    }

    String nextRaw() throws InterruptedException {
      String message = raw.poll(60, TimeUnit.SECONDS);
      if (message == null) {
        throw new AssertionError("no text within 60 s");
      }
      return message;
    }

    boolean silent() {
      return messages.isEmpty();
    }

    int closeCode() throws Exception {
      return closed.get(60, TimeUnit.SECONDS);
    }

    CompletableFuture<Integer> closed() {
      return closed;
    }

    void ping() {
      var _ = socket().sendPing(ByteBuffer.allocate(0)).join();
    }
  }
}
