package dev.cofferdam.edge.port;

import com.google.protobuf.ByteString;
import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.kit.client.TwoWayCall;
import dev.cofferdam.kit.http.End;
import dev.cofferdam.kit.http.HeadValues;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.Http1Parser;
import dev.cofferdam.kit.http.Http1Writer;
import dev.cofferdam.kit.http.MalformedException;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.kit.http.ResponseHead;
import dev.cofferdam.kit.http.WebSocketHandshake;
import dev.cofferdam.v1.ForwardRequest;
import dev.cofferdam.v1.ForwardResponse;
import io.grpc.StatusException;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.buffer.UnpooledByteBufAllocator;
import io.netty.handler.codec.ByteToMessageDecoder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Executor;

/**
 * One request and its answer, over a connection to the sandbox of its own: no answer can be taken
 * for another's, and nothing that a program in the sandbox leaves behind meets a later request.
 */
final class Exchange {
  /** Of one message to the sandbox, with room for what frames it. */
  private static final int PIECE = 32 << 10;

  /** What is still is ended by whoever watches the exchange. */
  private static final Duration FOREVER = Duration.ofDays(365);

  private static final ByteString CRLF = ByteString.copyFromUtf8("\r\n");
  private static final ByteString LAST_CHUNK = ByteString.copyFromUtf8("0\r\n\r\n");

  private final TwoWayCall<ForwardRequest, ForwardResponse> call;
  private final Client client;
  private final RequestHead head;
  private final Duration stall;
  private final Executor threads;
  private final Http1Parser answers;
  private ByteBuf received = Unpooled.EMPTY_BUFFER;
  private boolean answered;

  /** When something last went either way, on the clock of {@link System#nanoTime}. */
  private volatile long moved = System.nanoTime();

  private volatile boolean slow;

  /** Whether nothing more is sent to the sandbox. */
  private volatile boolean sent;

  private boolean whole;

  /**
   * @param call on which the connection is made
   * @param head as the sandbox gets it
   * @param headBytes of the answer's head
   * @param stall how long the client may leave its body unfinished
   */
  Exchange(
      TwoWayCall<ForwardRequest, ForwardResponse> call,
      Client client,
      RequestHead head,
      int headBytes,
      Duration stall,
      Executor threads) {
    this.call = call;
    this.client = client;
    this.head = head;
    this.stall = stall;
    this.threads = threads;
    this.answers = Http1Parser.responses(headBytes);
  }

  /** Nanoseconds since something went either way. */
  long still() {
    return System.nanoTime() - moved;
  }

  /** Whether the client has been given the head of an answer, which is then all it can be given. */
  boolean answered() {
    return answered;
  }

  /** Whether both sides have said all, so that the connection can end in order. */
  boolean mayEnd() {
    return whole && sent;
  }

  /**
   * Returns when it is over.
   *
   * @throws HttpError where there is no answer of the sandbox's, or no whole one
   */
  void run() throws HttpError, InterruptedException, ClientGoneException {
    try {
      if (head.expectsContinue()) {
        client.write(new ResponseHead(100, Headers.none(), 0));
      }
      send(bytes(Http1Writer.request(head, HeadValues.NONE, UnpooledByteBufAllocator.DEFAULT)));
      if (head.bodyLength() != 0) {
        threads.execute(this::sendBody);
      } else {
        sent = true;
      }
      answers.expectAnswer(head.method());
      relayAnswer();
    } catch (StatusException e) {
      throw slow ? new HttpError(408, "BODY_TIMEOUT", "the request's body stopped") : Refusal.of(e);
    } catch (MalformedException e) {
      throw new HttpError(502, "ANSWER_INVALID", "the port's answer is no HTTP/1.1: " + e.text());
    } finally {
      received.release();
      received = Unpooled.EMPTY_BUFFER;
    }
  }

  private void send(ByteString data) throws StatusException, InterruptedException {
    for (int from = 0; from < data.size(); from += PIECE) {
      ByteString piece = data.substring(from, Math.min(data.size(), from + PIECE));
      call.write(ForwardRequest.newBuilder().setData(piece).build());
      moved = System.nanoTime();
    }
  }

  private void sendBody() {
    boolean chunked = head.bodyLength() < 0;
    try {
      for (Optional<ByteBuf> part = client.take(stall);
          part.isPresent();
          part = client.take(stall)) {
        ByteString data = bytes(part.get());
        for (int from = 0; from < data.size(); from += PIECE) {
          ByteString piece = data.substring(from, Math.min(data.size(), from + PIECE));
          send(
              chunked
                  ? ByteString.copyFrom(
                          Integer.toHexString(piece.size()) + "\r\n", StandardCharsets.US_ASCII)
                      .concat(piece)
                      .concat(CRLF)
                  : piece);
        }
      }
      if (chunked) {
        send(LAST_CHUNK);
      }
      sent = true;
    } catch (HttpError e) {
      slow = true;
      call.cancel("the request's body stopped");
    } catch (ClientGoneException e) {
      call.cancel("the client is gone");
    } catch (InterruptedException e) {
      call.cancel("the edge ends");
    } catch (StatusException e) {
      // The reader of the answer meets the same end and tells of it.
    }
  }

  private static ByteString bytes(ByteBuf part) {
    try {
      return ByteString.copyFrom(part.nioBuffer());
    } finally {
      part.release();
    }
  }

  private void relayAnswer()
      throws HttpError,
          InterruptedException,
          ClientGoneException,
          StatusException,
          MalformedException {
    while (true) {
      Object part = answers.next(received);
      switch (part) {
        case null -> {
          if (!receive()) {
            endOfConnection();
            return;
          }
        }
        case ResponseHead answer when answer.status() == 101 -> {
          switchTo(answer);
          return;
        }
        case ResponseHead answer when answer.informational() -> {
          // Of no use to a client that was told to go on, or that asked for nothing.
        }
        case ResponseHead answer -> {
          answered = true;
          client.write(
              new ResponseHead(
                  answer.status(), Heads.toClient(answer.headers()), answer.bodyLength()));
        }
        case ByteBuf data -> client.write(data);
        case End _ -> {
          whole = true;
          client.write(End.plain());
          return;
        }
        default -> throw new IllegalStateException("no part of an answer: " + part);
      }
    }
  }

  private void endOfConnection() throws HttpError, InterruptedException, ClientGoneException {
    if (!answers.closed()) {
      throw new HttpError(502, "ANSWER_INVALID", "the port's answer ended before it was whole");
    }
    client.write(End.plain());
  }

  /**
   * @return false when the sandbox sends no more
   */
  private boolean receive() throws StatusException, InterruptedException {
    while (true) {
      Optional<ForwardResponse> answer = call.read();
      if (answer.isEmpty() || answer.get().getEnd()) {
        return false;
      }
      moved = System.nanoTime();
      ByteString data = answer.get().getData();
      if (!data.isEmpty()) {
        received =
            ByteToMessageDecoder.MERGE_CUMULATOR.cumulate(
                UnpooledByteBufAllocator.DEFAULT,
                received,
                Unpooled.wrappedBuffer(data.asReadOnlyByteBuffer()));
        return true;
      }
    }
  }

  private void switchTo(ResponseHead answer)
      throws HttpError, InterruptedException, ClientGoneException, StatusException {
    Optional<String> wrong =
        WebSocketHandshake.asked(head)
            ? WebSocketHandshake.wrong(head, answer)
            : Optional.of("its 101 was not asked for");
    if (wrong.isPresent()) {
      throw new HttpError(502, "ANSWER_INVALID", "no WebSocket of the port's: " + wrong.get());
    }
    answered = true;
    sent = false;
    client.switchTo(WebSocketHandshake.answer(Heads.toClient(answer.headers())));
    threads.execute(this::sendFrames);
    do {
      if (received.isReadable()) {
        client.write(received.readRetainedSlice(received.readableBytes()));
      }
    } while (receive());
    client.endSocket();
  }

  private void sendFrames() {
    try {
      while (true) {
        Optional<ByteBuf> part = client.take(FOREVER);
        if (part.isEmpty()) {
          call.halfClose();
          return;
        }
        send(bytes(part.get()));
      }
    } catch (HttpError | ClientGoneException e) {
      call.cancel("the client is gone");
    } catch (InterruptedException e) {
      call.cancel("the edge ends");
    } catch (StatusException e) {
      // The reader of the frames meets the same end.
    }
  }
}
