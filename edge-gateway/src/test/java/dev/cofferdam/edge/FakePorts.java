package dev.cofferdam.edge;

import com.google.protobuf.ByteString;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ForwardRequest;
import dev.cofferdam.v1.ForwardResponse;
import dev.cofferdam.v1.PortKey;
import dev.cofferdam.v1.PortServiceGrpc;
import io.grpc.Context;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import org.jspecify.annotations.Nullable;

/** A port of any sandbox is the port of that number on this machine. */
final class FakePorts extends PortServiceGrpc.PortServiceImplBase {
  private static final int CHUNK = 32 << 10;

  /** Of a call that is made with a key in place of a token. */
  static final Context.Key<PortKey> KEY = Context.key("key");

  static boolean fits(PortKey key, String sandbox, int port) {
    return key.getSandbox().equals(sandbox) && key.getPort() == port;
  }

  /** The first message of each connection. */
  final List<ForwardRequest> opened = new CopyOnWriteArrayList<>();

  /** Whether each is refused as one that is for nothing more. */
  volatile boolean shut;

  /** Open until the sandbox, which sleeps, was woken. */
  volatile CountDownLatch awake = new CountDownLatch(0);

  @Override
  public StreamObserver<ForwardRequest> forward(StreamObserver<ForwardResponse> answer) {
    ServerCallStreamObserver<ForwardResponse> out =
        (ServerCallStreamObserver<ForwardResponse>) answer;
    out.disableAutoRequest();
    Connection connection = new Connection(out);
    out.setOnReadyHandler(connection::ready);
    out.setOnCancelHandler(connection::breakOff);
    out.request(1);
    return connection;
  }

  private final class Connection implements StreamObserver<ForwardRequest> {
    private final ServerCallStreamObserver<ForwardResponse> out;
    private final Socket socket = new Socket();

    /** What is to be written to the port; empty: no more. */
    private final BlockingQueue<ByteString> toPort = new LinkedBlockingQueue<>();

    private final @Nullable PortKey key = KEY.get();
    private boolean begun;
    private boolean clientEnded;
    private boolean portEnded;

    Connection(ServerCallStreamObserver<ForwardResponse> out) {
      this.out = out;
    }

    @Override
    public void onNext(ForwardRequest request) {
      if (begun) {
        toPort.add(request.getData());
        return;
      }
      if (shut || (key != null && !fits(key, request.getSandbox(), request.getPort()))) {
        fail(ErrorReason.ERROR_REASON_TOKEN_INVALID);
        return;
      }
      begun = true;
      opened.add(request);
      Thread.ofVirtual().start(() -> connect(request.getPort()));
    }

    private void connect(int port) {
      try {
        awake.await();
        socket.connect(new java.net.InetSocketAddress(InetAddress.getLoopbackAddress(), port));
      } catch (IOException | InterruptedException e) {
        fail(ErrorReason.ERROR_REASON_PORT_CLOSED);
        return;
      }
      synchronized (this) {
        out.onNext(ForwardResponse.getDefaultInstance());
      }
      Thread.ofVirtual().start(this::write);
      read();
    }

    private void write() {
      try {
        OutputStream port = socket.getOutputStream();
        while (true) {
          out.request(1);
          ByteString data = toPort.take();
          if (data.isEmpty()) {
            socket.shutdownOutput();
            return;
          }
          data.writeTo(port);
        }
      } catch (IOException | InterruptedException e) {
        fail(ErrorReason.ERROR_REASON_CONNECTION_RESET);
      }
    }

    private void read() {
      byte[] buffer = new byte[CHUNK];
      try {
        for (int read = socket.getInputStream().read(buffer);
            read >= 0;
            read = socket.getInputStream().read(buffer)) {
          synchronized (this) {
            while (!out.isReady() && !out.isCancelled()) {
              wait();
            }
            out.onNext(
                ForwardResponse.newBuilder().setData(ByteString.copyFrom(buffer, 0, read)).build());
          }
        }
        ended(false);
      } catch (IOException e) {
        fail(ErrorReason.ERROR_REASON_CONNECTION_RESET);
      } catch (InterruptedException e) {
        breakOff();
      }
    }

    private synchronized void ended(boolean byClient) {
      clientEnded |= byClient;
      if (!byClient) {
        portEnded = true;
        out.onNext(ForwardResponse.newBuilder().setEnd(true).build());
      }
      if (clientEnded && portEnded) {
        out.onCompleted();
      }
    }

    private synchronized void fail(ErrorReason reason) {
      if (!out.isCancelled() && !portEnded) {
        portEnded = true;
        out.onError(FakeMesh.refusal(reason, "of the port"));
      }
    }

    private synchronized void ready() {
      notifyAll();
    }

    private void breakOff() {
      try {
        socket.setSoLinger(true, 0);
        socket.close();
      } catch (IOException e) {
        // It is closed.
      }
      ready();
    }

    @Override
    public void onError(Throwable failure) {
      breakOff();
    }

    @Override
    public void onCompleted() {
      toPort.add(ByteString.EMPTY);
      ended(true);
    }
  }
}
