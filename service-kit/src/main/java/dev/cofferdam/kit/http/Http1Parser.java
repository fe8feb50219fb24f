package dev.cofferdam.kit.http;

import static dev.cofferdam.kit.http.MalformedException.bad;

import io.netty.buffer.ByteBuf;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * HTTP/1.1 as RFC 9112 defines it and nothing else. Where the standard lets a recipient be lenient
 * (bare LF, folded lines, a length beside chunks, blanks before a colon), this one refuses, for
 * each leniency is a way to make two parsers disagree.
 *
 * <p>Reads one message after the other from a buffer that the caller fills: {@link RequestHead} or
 * {@link ResponseHead}, then {@link ByteBuf}s, then {@link End}.
 */
public final class Http1Parser {
  private enum State {
    HEAD,
    FIXED,
    CHUNK_SIZE,
    CHUNK,
    CHUNK_END,
    TRAILERS,
    UNTIL_CLOSE,
    END
  }

  /** A chunk's size in digits: 4 GiB, and no overflow. */
  private static final int MAX_SIZE_DIGITS = 8;

  private static final int MAX_SIZE_LINE = 256;

  /** What becomes of a request to change to another protocol than WebSocket. */
  public enum OtherUpgrades {
    REFUSED,
    /** It is read as one that does not ask (RFC 9110 section 7.8). */
    IGNORED
  }

  private final boolean requests;
  private final int maxHeadBytes;
  private final OtherUpgrades otherUpgrades;
  private State state = State.HEAD;
  private long left;
  private int searched;
  private boolean oldVersion;
  private String answeredMethod = "";
  private UnaryOperator<ByteBuf> filter = UnaryOperator.identity();

  private Http1Parser(boolean requests, int maxHeadBytes, OtherUpgrades otherUpgrades) {
    this.requests = requests;
    this.maxHeadBytes = maxHeadBytes;
    this.otherUpgrades = otherUpgrades;
  }

  public static Http1Parser requests(int maxHeadBytes, OtherUpgrades otherUpgrades) {
    return new Http1Parser(true, maxHeadBytes, otherUpgrades);
  }

  public static Http1Parser responses(int maxHeadBytes) {
    return new Http1Parser(false, maxHeadBytes, OtherUpgrades.REFUSED);
  }

  /**
   * Before the answer to a request is read.
   *
   * @param method of the request: an answer to HEAD has no body
   * @param filter of the bytes of head and trailers, before any of them becomes text; it releases
   *     what it is given, as the parser releases what it returns
   */
  public void expectAnswer(String method, UnaryOperator<ByteBuf> filter) {
    this.answeredMethod = method;
    this.filter = filter;
  }

  /** As it comes. */
  public void expectAnswer(String method) {
    expectAnswer(method, UnaryOperator.identity());
  }

  /** Whether the last head was of HTTP/1.0. */
  public boolean oldVersion() {
    return oldVersion;
  }

  /**
   * @return what is whole: a head, an {@link End}, or a part of the body, which the caller
   *     releases; null when more bytes are needed
   */
  public @Nullable Object next(ByteBuf in) throws MalformedException {
    while (true) {
      switch (state) {
        case HEAD -> {
          @Nullable List<String> lines = lines(in, true);
          return lines == null ? null : head(lines);
        }
        case FIXED, CHUNK -> {
          if (left > 0) {
            return in.isReadable() ? take(in) : null;
          }
          state = state == State.FIXED ? State.END : State.CHUNK_END;
        }
        case CHUNK_SIZE -> {
          if (!chunkSize(in)) {
            return null;
          }
        }
        case CHUNK_END -> {
          if (in.readableBytes() < 2) {
            return null;
          }
          if (in.readByte() != '\r' || in.readByte() != '\n') {
            throw bad("a chunk is longer than its size");
          }
          state = State.CHUNK_SIZE;
        }
        case TRAILERS -> {
          @Nullable List<String> lines = lines(in, false);
          if (lines == null) {
            return null;
          }
          state = State.HEAD;
          return new End(headers(lines, 0));
        }
        case UNTIL_CLOSE -> {
          return in.isReadable() ? in.readRetainedSlice(in.readableBytes()) : null;
        }
        case END -> {
          state = State.HEAD;
          return End.plain();
        }
      }
    }
  }

  /**
   * The peer sends no more.
   *
   * @return whether that was the proper end of a body
   */
  public boolean closed() {
    return state == State.UNTIL_CLOSE;
  }

  /** Whether a message has begun and not ended. */
  public boolean inMessage() {
    return state != State.HEAD;
  }

  private ByteBuf take(ByteBuf in) {
    ByteBuf part = in.readRetainedSlice((int) Math.min(left, in.readableBytes()));
    left -= part.readableBytes();
    return part;
  }

  private boolean chunkSize(ByteBuf in) throws MalformedException {
    int lf = in.indexOf(in.readerIndex(), in.writerIndex(), (byte) '\n');
    int length = lf < 0 ? in.readableBytes() : lf + 1 - in.readerIndex();
    if (length > MAX_SIZE_LINE) {
      throw bad("a chunk's size is longer than a line");
    }
    if (lf < 0) {
      return false;
    }
    String line = in.readCharSequence(length, StandardCharsets.ISO_8859_1).toString();
    int digits = 0;
    long size = 0;
    while (digits < line.length() && Character.digit(line.charAt(digits), 16) >= 0) {
      size = size * 16 + Character.digit(line.charAt(digits), 16);
      digits++;
      if (digits > MAX_SIZE_DIGITS) {
        throw bad("a chunk's size overflows");
      }
    }
    String rest = line.substring(digits);
    // Extensions have been a way to smuggle; nobody sends them in requests for good.
    boolean extension = !requests && rest.matches(";[\\t\\x20-\\x7e]*\r\n");
    if (digits == 0 || !(rest.equals("\r\n") || extension)) {
      throw bad("a chunk's size is not a hexadecimal number and CRLF");
    }
    left = size;
    state = size == 0 ? State.TRAILERS : State.CHUNK;
    return true;
  }

  /** The lines up to an empty one, without their ends; null while that is not there. */
  private @Nullable List<String> lines(ByteBuf in, boolean head) throws MalformedException {
    if (head && searched == 0) {
      // RFC 9112 section 2.2: an empty line in front of a request line is skipped.
      while (in.readableBytes() >= 2
          && in.getByte(in.readerIndex()) == '\r'
          && in.getByte(in.readerIndex() + 1) == '\n') {
        in.skipBytes(2);
      }
    }
    int end = endOfLines(in, head);
    int length = end < 0 ? in.readableBytes() : end - in.readerIndex();
    if (length > maxHeadBytes) {
      throw new MalformedException(
          MalformedException.Reason.HEAD_TOO_LARGE,
          "headers of more than " + maxHeadBytes + " bytes");
    }
    if (end < 0) {
      return null;
    }
    searched = 0;
    ByteBuf raw = in.readSlice(length);
    ByteBuf filtered = filter.apply(raw.retain());
    String text = filtered.toString(StandardCharsets.ISO_8859_1);
    filtered.release();
    List<String> lines = new ArrayList<>();
    int from = 0;
    for (int crlf = text.indexOf("\r\n"); crlf > from; crlf = text.indexOf("\r\n", from)) {
      lines.add(text.substring(from, crlf));
      from = crlf + 2;
    }
    return lines;
  }

  private int endOfLines(ByteBuf in, boolean head) throws MalformedException {
    int start = in.readerIndex();
    int lineStart = start + (searched == 0 ? 0 : lastLineStart(in, start + searched));
    int from = start + searched;
    byte before = from > start ? in.getByte(from - 1) : 0;
    for (int i = from; i < in.writerIndex(); i++) {
      byte c = in.getByte(i);
      if (c == '\n') {
        if (before != '\r') {
          throw bad("a line ends in a bare LF");
        }
        boolean empty = i - 1 == lineStart;
        if (empty && !(head && lineStart == start)) {
          return i + 1;
        }
        lineStart = i + 1;
      } else if (before == '\r') {
        throw bad("a bare CR");
      } else if ((c >= 0 && c < 0x20 && c != '\r' && c != '\t') || c == 0x7f) {
        throw bad("a control character in a head");
      }
      before = c;
    }
    searched = Math.max(0, in.readableBytes() - 1);
    return -1;
  }

  private static int lastLineStart(ByteBuf in, int before) {
    for (int i = before - 1; i >= in.readerIndex(); i--) {
      if (in.getByte(i) == '\n') {
        return i + 1 - in.readerIndex();
      }
    }
    return 0;
  }

  private Object head(List<String> lines) throws MalformedException {
    if (lines.isEmpty()) {
      throw bad("an empty head");
    }
    return requests ? request(lines) : response(lines);
  }

  private RequestHead request(List<String> lines) throws MalformedException {
    String[] line = lines.getFirst().split(" ", -1);
    if (line.length != 3 || !(line[2].equals("HTTP/1.1") || line[2].equals("HTTP/1.0"))) {
      throw bad("not a request line of HTTP/1.1");
    }
    Headers headers = headers(lines, 1);
    List<String> hosts = headers.all("host");
    if (hosts.size() != 1) {
      throw bad(hosts.size() + " Host headers, expected 1");
    }
    oldVersion = line[2].endsWith("0");
    if (oldVersion && headers.has("upgrade")) {
      throw bad("an upgrade in HTTP/1.0");
    }
    if (otherUpgrades == OtherUpgrades.IGNORED && !headers.lists("upgrade", "websocket")) {
      headers = headers.without("upgrade");
    }
    RequestRules.check(line[0], line[1], headers);
    long length = requestLength(headers);
    state = length == 0 ? State.END : length < 0 ? State.CHUNK_SIZE : State.FIXED;
    left = Math.max(0, length);
    return new RequestHead(
        line[0],
        hosts.getFirst(),
        line[1],
        headers.without("host", "content-length", "expect"),
        length,
        !oldVersion && !headers.lists("connection", "close"),
        headers.lists("expect", "100-continue"));
  }

  private long requestLength(Headers headers) throws MalformedException {
    List<String> codings = headers.all("transfer-encoding");
    List<String> lengths = headers.all("content-length");
    if (codings.isEmpty()) {
      if (lengths.size() > 1) {
        throw bad("more than one Content-Length");
      }
      return lengths.isEmpty() ? 0 : length(lengths.getFirst());
    }
    if (!lengths.isEmpty()) {
      throw bad("Content-Length beside Transfer-Encoding");
    }
    if (codings.size() != 1 || !codings.getFirst().equalsIgnoreCase("chunked") || oldVersion) {
      throw bad("a Transfer-Encoding other than chunked");
    }
    return -1;
  }

  private static long length(String text) throws MalformedException {
    if (text.isEmpty() || text.length() > 18 || !digits(text)) {
      throw bad("a Content-Length that is not a number");
    }
    return Long.parseLong(text);
  }

  private static boolean digits(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (text.charAt(i) < '0' || text.charAt(i) > '9') {
        return false;
      }
    }
    return true;
  }

  private ResponseHead response(List<String> lines) throws MalformedException {
    String first = lines.getFirst();
    if (!isStatusLine(first)) {
      throw bad("not a status line of HTTP/1.1");
    }
    int status = Integer.parseInt(first.substring(9, 12));
    Headers headers = headers(lines, 1);
    oldVersion = first.startsWith("HTTP/1.0");
    List<String> codings = headers.all("transfer-encoding");
    boolean chunked = !codings.isEmpty();
    List<String> lengths = headers.all("content-length").stream().distinct().toList();
    if (lengths.size() > 1
        || (chunked
            && (!lengths.isEmpty()
                || codings.size() != 1
                || !codings.getFirst().equalsIgnoreCase("chunked")))) {
      throw bad("an answer whose length is ambiguous");
    }
    if (status < 200 || status == 204 || status == 304 || answeredMethod.equals("HEAD")) {
      state = status < 200 ? State.HEAD : State.END;
      return new ResponseHead(status, headers, 0);
    }
    long length = chunked || lengths.isEmpty() ? -1 : length(lengths.getFirst());
    state = chunked ? State.CHUNK_SIZE : length < 0 ? State.UNTIL_CLOSE : State.FIXED;
    left = Math.max(0, length);
    return new ResponseHead(status, headers.without("content-length"), length);
  }

  /** {@code HTTP/1.1 200}, with or without words behind. */
  private static boolean isStatusLine(String line) {
    return line.length() >= 12
        && (line.startsWith("HTTP/1.1 ") || line.startsWith("HTTP/1.0 "))
        && line.charAt(9) != '0'
        && digits(line.substring(9, 12))
        && (line.length() == 12 || line.charAt(12) == ' ');
  }

  private static Headers headers(List<String> lines, int from) throws MalformedException {
    List<Header> headers = new ArrayList<>(lines.size());
    for (String line : lines.subList(from, lines.size())) {
      int colon = line.indexOf(':');
      if (colon <= 0 || !RequestRules.isToken(line.substring(0, colon))) {
        // Also a folded line, and a blank before the colon.
        throw bad("a header line without a proper name");
      }
      headers.add(new Header(line.substring(0, colon), line.substring(colon + 1).strip()));
    }
    return new Headers(headers);
  }
}
