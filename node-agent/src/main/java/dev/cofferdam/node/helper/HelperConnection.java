package dev.cofferdam.node.helper;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.node.helper.HelperException.Code;
import java.io.BufferedReader;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;

/** One connection to node-helper: many requests at a time, told apart by their number. */
final class HelperConnection implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final SocketChannel channel;
  private final BufferedReader reader;
  private final ReentrantLock writing = new ReentrantLock();
  private final AtomicLong numbers = new AtomicLong();
  private final Map<Long, CompletableFuture<JsonNode>> waiting = new ConcurrentHashMap<>();
  private volatile boolean broken;

  private HelperConnection(SocketChannel channel) {
    this.channel = channel;
    this.reader = new BufferedReader(Channels.newReader(channel, StandardCharsets.UTF_8), 64 << 10);
  }

  static HelperConnection open(Path socket) {
    try {
      return new HelperConnection(SocketChannel.open(UnixDomainSocketAddress.of(socket)));
    } catch (IOException e) {
      throw new HelperException(
          Code.UNAVAILABLE, "cannot reach node-helper at " + socket + ": " + e.getMessage(), e);
    }
  }

  /** Answers come from now on. */
  HelperConnection start() {
    Thread.ofVirtual().name("helper-reader").start(this::readAnswers);
    return this;
  }

  boolean broken() {
    return broken;
  }

  JsonNode call(String verb, ObjectNode arguments, Duration patience) {
    CompletableFuture<JsonNode> answer = new CompletableFuture<>();
    long number = numbers.incrementAndGet();
    waiting.put(number, answer);
    try {
      send(number, verb, arguments);
      if (broken) {
        // The reader may have gone before the answer was put among those it fails.
        throw gone(null);
      }
      return answer.get(patience.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof HelperException failed) {
        throw new HelperException(failed.code(), verb + ": " + failed.getMessage(), failed);
      }
      throw new IllegalStateException(e);
    } catch (TimeoutException e) {
      throw new HelperException(Code.UNAVAILABLE, verb + ": no answer within " + patience, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new HelperException(Code.UNAVAILABLE, verb + ": interrupted", e);
    } finally {
      waiting.remove(number);
    }
  }

  void send(long number, String verb, ObjectNode arguments) {
    ObjectNode request = JSON.createObjectNode().put("id", number).put("verb", verb);
    request.set("args", arguments);
    byte[] line = (request + "\n").getBytes(StandardCharsets.UTF_8);
    writing.lock();
    try {
      ByteBuffer buffer = ByteBuffer.wrap(line);
      while (buffer.hasRemaining()) {
        channel.write(buffer);
      }
    } catch (IOException e) {
      broken = true;
      throw gone(e);
    } finally {
      writing.unlock();
    }
  }

  /** The next line, for a connection that became a stream. */
  JsonNode next() {
    try {
      String line = reader.readLine();
      if (line == null) {
        throw gone(null);
      }
      return parse(line);
    } catch (IOException e) {
      throw gone(e);
    }
  }

  @Override
  public void close() {
    broken = true;
    try {
      channel.close();
    } catch (IOException e) {
      // Nothing is left to save.
    }
  }

  private void readAnswers() {
    HelperException why = gone(null);
    try {
      while (true) {
        JsonNode answer = next();
        CompletableFuture<JsonNode> waiter = waiting.remove(answer.path("id").asLong());
        if (waiter == null) {
          continue;
        }
        if (answer.has("error")) {
          waiter.completeExceptionally(error(answer.path("error")));
        } else {
          waiter.complete(answer.path("ok"));
        }
      }
    } catch (HelperException e) {
      why = e;
    } finally {
      close();
      HelperException cause = why;
      waiting.values().forEach(waiter -> waiter.completeExceptionally(cause));
    }
  }

  private static JsonNode parse(String line) {
    try {
      return JSON.readTree(line);
    } catch (JsonProcessingException e) {
      throw new HelperException(Code.UNAVAILABLE, "node-helper sent no JSON", e);
    }
  }

  static HelperException error(JsonNode error) {
    String message = error.path("message").asText();
    return switch (error.path("code").asText()) {
      case "invalid" -> new HelperException(Code.INVALID, message);
      case "not_found" -> new HelperException(Code.NOT_FOUND, message);
      case "exists" -> new HelperException(Code.EXISTS, message);
      default -> new HelperException(Code.FAILED, message);
    };
  }

  private static HelperException gone(@org.jspecify.annotations.Nullable Throwable cause) {
    String message = "node-helper closed the connection";
    return cause == null
        ? new HelperException(Code.UNAVAILABLE, message)
        : new HelperException(Code.UNAVAILABLE, message + ": " + cause.getMessage(), cause);
  }
}
