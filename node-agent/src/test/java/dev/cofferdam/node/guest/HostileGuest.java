package dev.cofferdam.node.guest;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Something in a guest's place that speaks HTTP/2 (RFC 9113) only as far as it suits it. Frames are
 * written by hand: no library sends what is wrong.
 */
final class HostileGuest implements AutoCloseable {
  static final byte DATA = 0;
  static final byte HEADERS = 1;
  static final byte PRIORITY = 2;
  static final byte RST_STREAM = 3;
  static final byte SETTINGS = 4;
  static final byte PUSH_PROMISE = 5;
  static final byte PING = 6;
  static final byte GOAWAY = 7;
  static final byte WINDOW_UPDATE = 8;
  static final byte CONTINUATION = 9;

  static final byte END_STREAM = 1;
  static final byte END_HEADERS = 4;
  static final byte[] NOTHING = {};

  /** What it does with a connection; the connection ends when it returns. */
  @FunctionalInterface
  interface Script {
    void run(Connection connection) throws IOException;
  }

  private final ServerSocketChannel server;
  private final AtomicInteger connections = new AtomicInteger();

  HostileGuest(Path link, Script script) throws IOException {
    Files.deleteIfExists(link);
    server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    server.bind(UnixDomainSocketAddress.of(link));
    Thread.ofPlatform().daemon().name("hostile-guest").start(() -> serve(script));
  }

  int connections() {
    return connections.get();
  }

  @Override
  public void close() throws IOException {
    server.close();
  }

  private void serve(Script script) {
    while (server.isOpen()) {
      try {
        SocketChannel channel = server.accept();
        connections.incrementAndGet();
        Thread.ofPlatform().daemon().name("hostile-connection").start(() -> play(script, channel));
      } catch (AsynchronousCloseException e) {
        return;
      } catch (IOException e) {
        return;
      }
    }
  }

  private static void play(Script script, SocketChannel channel) {
    try (channel) {
      script.run(new Connection(channel));
    } catch (IOException e) {
      // The other side had enough of it.
    }
  }

  /** One connection, and what is on it. */
  static final class Connection {
    /** RFC 9113, 3.4: what a client begins with. */
    private static final int PREFACE = 24;

    private final SocketChannel channel;
    private final AtomicLong sent = new AtomicLong();

    Connection(SocketChannel channel) {
      this.channel = channel;
    }

    /** Bytes that were written, and so taken by the other side or its kernel. */
    long sent() {
      return sent.get();
    }

    void raw(byte[] bytes) throws IOException {
      ByteBuffer buffer = ByteBuffer.wrap(bytes);
      while (buffer.hasRemaining()) {
        sent.addAndGet(channel.write(buffer));
      }
    }

    void frame(int type, int flags, int stream, byte[] payload) throws IOException {
      raw(bytes(type, flags, stream, payload));
    }

    static byte[] bytes(int type, int flags, int stream, byte[] payload) {
      return ByteBuffer.allocate(9 + payload.length)
          .put((byte) (payload.length >> 16))
          .putShort((short) payload.length)
          .put((byte) type)
          .put((byte) flags)
          .putInt(stream)
          .put(payload)
          .array();
    }

    /** As a server begins: its settings, and what the client says until it asks for something. */
    int greet(byte[] settings) throws IOException {
      read(PREFACE);
      frame(SETTINGS, 0, 0, settings);
      return awaitCall();
    }

    /** Its settings, and the client's word that it has them: it takes itself for connected. */
    void greetOnly() throws IOException {
      read(PREFACE);
      frame(SETTINGS, 0, 0, NOTHING);
      var _ = await(SETTINGS, 1);
    }

    /** The next stream that the client opens. */
    int awaitCall() throws IOException {
      return await(HEADERS, END_HEADERS);
    }

    private int await(int wanted, int flag) throws IOException {
      while (true) {
        ByteBuffer head = read(9);
        int length = ((head.get() & 0xff) << 16) | (head.getShort() & 0xffff);
        int type = head.get();
        int flags = head.get();
        int stream = head.getInt();
        byte[] payload = new byte[length];
        read(length).get(payload);
        if (type == wanted && (flags & flag) != 0) {
          return stream;
        }
        if (type == PING && flags == 0) {
          frame(PING, 1, 0, payload);
        }
        if (type == SETTINGS && flags == 0) {
          frame(SETTINGS, 1, 0, NOTHING);
        }
      }
    }

    /** Takes all that comes, until the end. */
    void drain() throws IOException {
      ByteBuffer buffer = ByteBuffer.allocate(64 << 10);
      while (channel.read(buffer) >= 0) {
        buffer.clear();
      }
    }

    private ByteBuffer read(int length) throws IOException {
      ByteBuffer buffer = ByteBuffer.allocate(length);
      while (buffer.hasRemaining()) {
        if (channel.read(buffer) < 0) {
          throw new IOException("the client has gone");
        }
      }
      return buffer.flip();
    }
  }

  /** A header block (RFC 7541, 6.2.2: literals that nobody remembers, without Huffman's code). */
  static byte[] headers(String... namesAndValues) {
    ByteArrayOutputStream block = new ByteArrayOutputStream();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      block.write(0);
      text(block, namesAndValues[i]);
      text(block, namesAndValues[i + 1]);
    }
    return block.toByteArray();
  }

  private static void text(ByteArrayOutputStream block, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
    // RFC 7541, 5.1: an integer with a prefix of seven bits.
    int rest = bytes.length;
    if (rest < 127) {
      block.write(rest);
    } else {
      block.write(127);
      for (rest -= 127; rest >= 128; rest >>= 7) {
        block.write((rest & 0x7f) | 0x80);
      }
      block.write(rest);
    }
    block.writeBytes(bytes);
  }

  /** How a gRPC answer begins. */
  static byte[] answer() {
    return headers(":status", "200", "content-type", "application/grpc");
  }

  /** A message of gRPC: whether it is compressed, its length, itself. */
  static byte[] message(int compressed, int length, byte[] body) {
    return ByteBuffer.allocate(5 + body.length)
        .put((byte) compressed)
        .putInt(length)
        .put(body)
        .array();
  }
}
