package dev.cofferdam.gateway.tls;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.handler.ssl.ApplicationProtocolNames;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * The first message of a TLS client (RFC 8446 section 4.1.2), read without answering it.
 *
 * @param serverName as sent; empty where there is none
 * @param encrypted an Encrypted ClientHello (RFC 9849) is inside, or what browsers send in its
 *     place to every server ("GREASE", section 6.2), which nobody but the server can tell from it:
 *     what is readable here may not be meant
 * @param http2 offered by ALPN (RFC 7301)
 */
public record ClientHello(Optional<String> serverName, boolean encrypted, boolean http2) {
  /** What the first bytes of a connection are. */
  public sealed interface Peek {
    record Hello(ClientHello hello) implements Peek {}

    record NotTls() implements Peek {}

    /** So far it may be one. */
    record NeedsMore() implements Peek {}

    record Malformed(String why) implements Peek {}
  }

  private static final int HANDSHAKE = 22;
  private static final int CLIENT_HELLO = 1;
  private static final int SERVER_NAME = 0;
  private static final int APPLICATION_PROTOCOLS = 16;
  private static final int ENCRYPTED_CLIENT_HELLO = 0xfe0d;

  /** RFC 8446 allows 2^24; real ones with post-quantum shares stay under 4 KiB. */
  private static final int MAX_BYTES = 64 << 10;

  /** Looks at the readable bytes and leaves them where they are. */
  public static Peek peek(ByteBuf in) {
    if (!in.isReadable()) {
      return new Peek.NeedsMore();
    }
    if (in.getByte(in.readerIndex()) != HANDSHAKE) {
      return new Peek.NotTls();
    }
    ByteBuf message = Unpooled.buffer(512, MAX_BYTES);
    int at = in.readerIndex();
    int end = in.writerIndex();
    while (true) {
      if (end - at < 5) {
        return new Peek.NeedsMore();
      }
      int length = in.getUnsignedShort(at + 3);
      if (in.getByte(at) != HANDSHAKE || in.getByte(at + 1) != 3 || length == 0 || length > 16384) {
        return new Peek.Malformed("a record that is no handshake");
      }
      int there = Math.min(length, end - at - 5);
      if (message.readableBytes() + there > MAX_BYTES) {
        return new Peek.Malformed("a ClientHello of more than " + MAX_BYTES + " bytes");
      }
      message.writeBytes(in, at + 5, there);
      if (message.readableBytes() >= 4) {
        if (message.getByte(0) != CLIENT_HELLO) {
          return new Peek.Malformed("a handshake that is no ClientHello");
        }
        int whole = 4 + message.getUnsignedMedium(1);
        if (whole > MAX_BYTES) {
          return new Peek.Malformed("a ClientHello of " + whole + " bytes");
        }
        if (message.readableBytes() >= whole) {
          return parse(message.slice(4, whole - 4));
        }
      }
      if (there < length) {
        return new Peek.NeedsMore();
      }
      at += 5 + length;
    }
  }

  private static Peek parse(ByteBuf body) {
    try {
      body.skipBytes(2 + 32);
      body.skipBytes(body.readUnsignedByte());
      body.skipBytes(body.readUnsignedShort());
      body.skipBytes(body.readUnsignedByte());
      Optional<String> name = Optional.empty();
      boolean encrypted = false;
      boolean http2 = false;
      if (body.isReadable()) {
        ByteBuf extensions = body.readSlice(body.readUnsignedShort());
        while (extensions.isReadable()) {
          int type = extensions.readUnsignedShort();
          ByteBuf data = extensions.readSlice(extensions.readUnsignedShort());
          if (type == SERVER_NAME) {
            if (name.isPresent()) {
              return new Peek.Malformed("two server names");
            }
            name = serverName(data);
          } else if (type == ENCRYPTED_CLIENT_HELLO) {
            encrypted = true;
          } else if (type == APPLICATION_PROTOCOLS) {
            http2 = offersHttp2(data);
          }
        }
      }
      return new Peek.Hello(new ClientHello(name, encrypted, http2));
    } catch (IndexOutOfBoundsException e) {
      return new Peek.Malformed("a ClientHello that is shorter than it says");
    }
  }

  /** RFC 7301 section 3.1: a list of names. */
  private static boolean offersHttp2(ByteBuf data) {
    ByteBuf list = data.readSlice(data.readUnsignedShort());
    boolean offered = false;
    while (list.isReadable()) {
      ByteBuf name = list.readSlice(list.readUnsignedByte());
      offered |= name.toString(StandardCharsets.ISO_8859_1).equals(ApplicationProtocolNames.HTTP_2);
    }
    return offered;
  }

  /** RFC 6066 section 3: a list, in which only a host name was ever defined. */
  private static Optional<String> serverName(ByteBuf data) {
    ByteBuf list = data.readSlice(data.readUnsignedShort());
    if (!list.isReadable() || list.readUnsignedByte() != 0) {
      return Optional.empty();
    }
    return Optional.of(
        list.readCharSequence(list.readUnsignedShort(), StandardCharsets.ISO_8859_1).toString());
  }
}
