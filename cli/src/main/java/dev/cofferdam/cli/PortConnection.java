package dev.cofferdam.cli;

import com.google.protobuf.ByteString;
import dev.cofferdam.v1.ForwardRequest;
import dev.cofferdam.v1.ForwardResponse;
import dev.cofferdam.v1.PortServiceGrpc;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import java.io.IOException;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A local connection tied to one in a sandbox: what either side sends, the end of each direction,
 * and a break. Neither side runs ahead of the other by more than the buffers in between.
 */
final class PortConnection {
  private static final int CHUNK = 64 * 1024;

  private final BlockingClientCall<ForwardRequest, ForwardResponse> call;
  private final String sandbox;
  private final int port;
  private final SocketChannel local;
  private final Executor executor;

  /** The local side broke off: the call's end is then no news. */
  private final AtomicBoolean left = new AtomicBoolean();

  /**
   * @param local closed by {@link #run}
   */
  PortConnection(
      PortServiceGrpc.PortServiceBlockingV2Stub stub,
      String sandbox,
      int port,
      SocketChannel local,
      Executor executor) {
    this.call = stub.forward();
    this.sandbox = sandbox;
    this.port = port;
    this.local = local;
    this.executor = executor;
  }

  /** Returns at the connection's end, with a line that says why where the mesh's side failed. */
  Optional<String> run() {
    try (local) {
      // However this ends but in order, be it by an interrupt that closes the socket, the local
      // program must not take a part for the whole.
      local.setOption(StandardSocketOptions.SO_LINGER, 0);
      try {
        call.write(ForwardRequest.newBuilder().setSandbox(sandbox).setPort(port).build());
        // Nobody's bytes go on their way before it is known that somebody takes them.
        boolean connected = call.read() != null;
        if (connected) {
          executor.execute(this::toSandbox);
          fromSandbox();
          local.setOption(StandardSocketOptions.SO_LINGER, -1);
        }
        return Optional.empty();
      } catch (StatusException e) {
        return left.get() ? Optional.empty() : Optional.of(ErrorLine.of(e));
      } catch (InterruptedException e) {
        return Optional.empty();
      }
    } catch (IOException e) {
      // The local side is gone.
      return Optional.empty();
    } finally {
      call.cancel("the local connection is closed", null);
    }
  }

  private void fromSandbox() throws StatusException, InterruptedException, IOException {
    for (ForwardResponse answer = call.read(); answer != null; answer = call.read()) {
      ByteBuffer data = answer.getData().asReadOnlyByteBuffer();
      while (data.hasRemaining()) {
        local.write(data);
      }
      if (answer.getEnd()) {
        local.shutdownOutput();
      }
    }
  }

  private void toSandbox() {
    ByteBuffer buffer = ByteBuffer.allocate(CHUNK);
    try {
      boolean open = true;
      while (open && local.read(buffer) >= 0) {
        open =
            call.write(
                ForwardRequest.newBuilder().setData(ByteString.copyFrom(buffer.flip())).build());
        buffer.clear();
      }
      call.halfClose();
    } catch (IOException e) {
      left.set(true);
      call.cancel("the local connection was broken off", e);
    } catch (StatusException e) {
      // The reader of the answers meets the same end and tells of it.
    } catch (InterruptedException e) {
      call.cancel("the command ends", e);
    }
  }
}
