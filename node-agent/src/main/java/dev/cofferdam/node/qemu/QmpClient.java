package dev.cofferdam.node.qemu;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BiConsumer;
import java.util.function.BooleanSupplier;
import jdk.net.ExtendedSocketOptions;

/**
 * One QMP session (QEMU's docs/interop/qmp-spec): commands with their answers, and events. QEMU
 * serves one session at a time on a socket. Safe for use by several threads.
 *
 * <p>The other side is trusted with nothing: a VMM that was taken over may send what it likes.
 * Lines are bounded, and the socket's peer has to run as the owner of the directory it lies in,
 * lest a link put there leads elsewhere.
 */
final class QmpClient implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int MAX_LINE = 1 << 20;

  /** Between tries: a part of the time waited so far, for most QEMUs listen within 70 ms. */
  private static final long RETRY_PART = 50;

  private static final long RETRY_MIN_NANOS = 1_000_000;
  private static final long RETRY_MAX_NANOS = 100_000_000;

  private final SocketChannel channel;
  private final BiConsumer<String, JsonNode> events;
  private final ReentrantLock writing = new ReentrantLock();
  private final AtomicLong numbers = new AtomicLong();
  private final Map<Long, CompletableFuture<JsonNode>> waiting = new ConcurrentHashMap<>();
  private final CompletableFuture<JsonNode> greeting = new CompletableFuture<>();
  private final CompletableFuture<Void> closed = new CompletableFuture<>();

  private QmpClient(SocketChannel channel, BiConsumer<String, JsonNode> events) {
    this.channel = channel;
    this.events = events;
  }

  /**
   * Connects, trying again while the socket is not there yet.
   *
   * @param alive false ends the tries: nobody will ever listen
   * @param events gets every event's name and data, on the session's reader
   */
  static QmpClient connect(
      Path socket, Duration patience, BooleanSupplier alive, BiConsumer<String, JsonNode> events) {
    long begin = System.nanoTime();
    long deadline = begin + patience.toNanos();
    while (true) {
      try {
        SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(socket));
        return open(channel, socket, deadline - System.nanoTime(), events);
      } catch (IOException e) {
        if (!alive.getAsBoolean()) {
          throw new QmpException("QEMU ended before it listened on " + socket.getFileName(), e);
        }
        if (System.nanoTime() >= deadline || Thread.currentThread().isInterrupted()) {
          throw new QmpException(
              "QEMU did not listen on %s within %s".formatted(socket, patience), e);
        }
        long waited = System.nanoTime() - begin;
        LockSupport.parkNanos(Math.clamp(waited / RETRY_PART, RETRY_MIN_NANOS, RETRY_MAX_NANOS));
      }
    }
  }

  private static QmpClient open(
      SocketChannel channel, Path socket, long nanos, BiConsumer<String, JsonNode> events)
      throws IOException {
    QmpClient client = new QmpClient(channel, events);
    try {
      Path directory = socket.toAbsolutePath().getParent();
      var peer = channel.getOption(ExtendedSocketOptions.SO_PEERCRED).user();
      var owner = Files.getOwner(directory == null ? socket : directory, LinkOption.NOFOLLOW_LINKS);
      if (!peer.equals(owner)) {
        throw new QmpException(
            "%s is served by %s, expected %s".formatted(socket, peer.getName(), owner.getName()));
      }
      Thread.ofVirtual().name("qmp-reader").start(client::read);
      var _ = await(client.greeting, "greeting", Duration.ofNanos(Math.max(nanos, 1)));
      client.execute("qmp_capabilities", JSON.createObjectNode(), Duration.ofSeconds(5));
      return client;
    } catch (IOException | RuntimeException e) {
      client.close();
      throw e;
    }
  }

  static ObjectNode arguments() {
    return JSON.createObjectNode();
  }

  /**
   * @throws QmpException when QEMU refuses, does not answer in time or is gone
   */
  JsonNode execute(String command, ObjectNode arguments, Duration patience) {
    CompletableFuture<JsonNode> answer = new CompletableFuture<>();
    long number = numbers.incrementAndGet();
    waiting.put(number, answer);
    try {
      ObjectNode request = JSON.createObjectNode().put("execute", command).put("id", number);
      request.set("arguments", arguments);
      write(request + "\n");
      if (closed.isDone()) {
        // The reader may have gone before the answer was put among those it fails. It may also have
        // gone after it answered this very command; then the answer counts.
        answer.completeExceptionally(new QmpException("the session has ended"));
      }
      return await(answer, command, patience);
    } finally {
      waiting.remove(number);
    }
  }

  JsonNode execute(String command, Duration patience) {
    return execute(command, arguments(), patience);
  }

  /** Completes when the session ends, whoever ended it. */
  CompletionStage<Void> closed() {
    return closed.minimalCompletionStage();
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      // Nothing is left to save.
    }
  }

  private void write(String line) {
    writing.lock();
    try {
      ByteBuffer buffer = ByteBuffer.wrap(line.getBytes(StandardCharsets.UTF_8));
      while (buffer.hasRemaining()) {
        channel.write(buffer);
      }
    } catch (IOException e) {
      throw new QmpException("the session has ended: " + e.getMessage(), e);
    } finally {
      writing.unlock();
    }
  }

  private void read() {
    QmpLines lines = new QmpLines(channel, MAX_LINE);
    try (channel) {
      for (String line = lines.next(); line != null; line = lines.next()) {
        dispatch(JSON.readTree(line));
      }
    } catch (IOException | RuntimeException e) {
      // Whatever it was, the session is over; those who wait are told below.
    } finally {
      QmpException ended = new QmpException("the session has ended");
      greeting.completeExceptionally(ended);
      closed.complete(null);
      waiting.values().forEach(answer -> answer.completeExceptionally(ended));
    }
  }

  private void dispatch(JsonNode message) throws JsonProcessingException {
    if (message.has("QMP")) {
      greeting.complete(message.path("QMP"));
    } else if (message.has("event")) {
      events.accept(message.path("event").asText(), message.path("data"));
    } else {
      CompletableFuture<JsonNode> answer = waiting.remove(message.path("id").asLong());
      if (answer != null && message.has("return")) {
        answer.complete(message.path("return"));
      } else if (answer != null) {
        answer.completeExceptionally(
            new QmpRefusal(message.path("error").path("desc").asText("no reason given")));
      }
    }
  }

  private static JsonNode await(
      CompletableFuture<JsonNode> answer, String what, Duration patience) {
    try {
      return answer.get(patience.toNanos(), TimeUnit.NANOSECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof QmpRefusal refusal) {
        throw new QmpRefusal(what + ": " + refusal.getMessage());
      }
      throw new QmpException(what + ": the session has ended", e);
    } catch (TimeoutException e) {
      throw new QmpException("%s: no answer within %s".formatted(what, patience), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new QmpException(what + ": interrupted", e);
    }
  }
}
