package dev.cofferdam.node.cloudhypervisor;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Answers over a Unix socket what a real Cloud Hypervisor was recorded to answer, byte by byte, and
 * notes what it would have refused or what it was not asked when it was recorded.
 */
final class Replay implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** What was asked, and what came. The answer is bytes that are sent. */
  @SuppressWarnings("ArrayRecordComponent")
  record Exchange(String target, String body, byte[] answer) {
    int status() {
      return Integer.parseInt(head().split(" ", -1)[1]);
    }

    byte[] answerBody() {
      String text = new String(answer, StandardCharsets.UTF_8);
      return text.substring(text.indexOf("\r\n\r\n") + 4).getBytes(StandardCharsets.UTF_8);
    }

    private String head() {
      return new String(answer, StandardCharsets.UTF_8);
    }
  }

  private final ServerSocketChannel server;
  private final Map<String, Deque<Exchange>> answers = new ConcurrentHashMap<>();
  private final ConcurrentLinkedQueue<String> problems = new ConcurrentLinkedQueue<>();
  private final ConcurrentLinkedQueue<String> asked = new ConcurrentLinkedQueue<>();
  private final AtomicInteger busy = new AtomicInteger();
  private final Map<String, CountDownLatch> held = new ConcurrentHashMap<>();
  private final Map<String, Runnable> acts = new ConcurrentHashMap<>();

  private Replay(ServerSocketChannel server) {
    this.server = server;
  }

  /**
   * Serves what it is told in the order told, for each request by itself; the last answer to a
   * question serves for good.
   */
  static Replay serve(Path socket, List<Exchange> exchanges) throws IOException {
    Replay replay = new Replay(ServerSocketChannel.open(StandardProtocolFamily.UNIX));
    for (Exchange exchange : exchanges) {
      replay
          .answers
          .computeIfAbsent(key(exchange.target(), exchange.body()), _ -> new ArrayDeque<>())
          .add(exchange);
    }
    replay.server.bind(UnixDomainSocketAddress.of(socket));
    Thread.ofVirtual().name("replay").start(replay::accept);
    return replay;
  }

  /** The file says how it is read: testkit/nested/record.py. */
  static List<Exchange> recording(String name) throws IOException {
    try (InputStream in =
        Objects.requireNonNull(Replay.class.getResourceAsStream(name + ".txt"), name)) {
      String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      List<Exchange> exchanges = new ArrayList<>();
      for (String block : text.split("\n\n> ", -1)) {
        if (!block.startsWith("cloud-hypervisor ")) {
          exchanges.add(exchange("> " + block));
        }
      }
      return exchanges;
    }
  }

  private static Exchange exchange(String block) {
    List<String> request = new ArrayList<>();
    List<String> answer = new ArrayList<>();
    for (String line : block.stripTrailing().lines().toList()) {
      if (line.startsWith("> ")) {
        request.add(line.substring(2));
      } else if (line.startsWith("<")) {
        answer.add(line.length() < 2 ? "" : line.substring(2));
      } else {
        answer.add(answer.removeLast() + "\n" + line);
      }
    }
    if (!answer.contains("")) {
      answer.add("");
    }
    if (answer.getLast().isEmpty()) {
      answer.add("");
    }
    return new Exchange(
        request.getFirst(),
        request.size() > 1 ? request.get(1) : "",
        String.join("\r\n", answer).getBytes(StandardCharsets.UTF_8));
  }

  /** The answer to this call waits for the latch. */
  void hold(String target, CountDownLatch until) {
    held.put(target, until);
  }

  /** What the VMM does beside answering. */
  void before(String target, Runnable act) {
    acts.put(target, act);
  }

  List<String> problems() {
    return List.copyOf(problems);
  }

  List<String> asked() {
    return List.copyOf(asked);
  }

  @Override
  public void close() throws IOException {
    server.close();
  }

  private void accept() {
    try {
      while (true) {
        SocketChannel channel = server.accept();
        Thread.ofVirtual().name("replay-connection").start(() -> converse(channel));
      }
    } catch (IOException e) {
      // Closed.
    }
  }

  private void converse(SocketChannel channel) {
    try (channel) {
      InputStream in = Channels.newInputStream(channel);
      while (true) {
        serve(in, channel);
      }
    } catch (IOException e) {
      // The client has gone.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void serve(InputStream in, SocketChannel channel)
      throws IOException, InterruptedException {
    String head = head(in);
    if (busy.incrementAndGet() > 1) {
      problems.add("asked while another request was not answered");
    }
    try {
      String[] lines = head.split("\r\n", -1);
      String target = lines[0].replace(" HTTP/1.1", "");
      String body = body(target, lines, in);
      asked.add(target);
      CountDownLatch until = held.get(target);
      if (until != null) {
        until.await();
      }
      Exchange exchange = next(target, body);
      acts.getOrDefault(target, () -> {}).run();
      ByteBuffer bytes = ByteBuffer.wrap(exchange.answer());
      busy.decrementAndGet();
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
    } catch (IOException | InterruptedException | RuntimeException e) {
      busy.set(0);
      throw e;
    }
  }

  private Exchange next(String target, String body) throws IOException {
    Deque<Exchange> due = answers.get(key(target, body));
    if (due == null) {
      problems.add("never recorded: " + target + " " + body);
      throw new IOException("never recorded");
    }
    synchronized (due) {
      return due.size() > 1 ? due.removeFirst() : due.getFirst();
    }
  }

  private String body(String target, String[] lines, InputStream in) throws IOException {
    int length = -1;
    for (String line : lines) {
      String header = line.toLowerCase(Locale.ROOT);
      if (header.startsWith("transfer-encoding:")) {
        problems.add(target + " is chunked");
      } else if (header.startsWith("content-length:")) {
        length = Integer.parseInt(header.substring("content-length:".length()).strip());
      }
    }
    return length <= 0 ? "" : new String(in.readNBytes(length), StandardCharsets.UTF_8);
  }

  private static String head(InputStream in) throws IOException {
    ByteArrayOutputStream head = new ByteArrayOutputStream();
    while (!head.toString(StandardCharsets.UTF_8).endsWith("\r\n\r\n")) {
      int b = in.read();
      if (b < 0) {
        throw new EOFException();
      }
      head.write(b);
    }
    return head.toString(StandardCharsets.UTF_8);
  }

  /** JSON says the same in any order. */
  private static String key(String target, String body) {
    if (body.isEmpty()) {
      return target;
    }
    try {
      return target + " " + JSON.readTree(body).hashCode();
    } catch (JsonProcessingException e) {
      return target + " " + body;
    }
  }
}
