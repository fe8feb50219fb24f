package dev.cofferdam.edge.ssh;

import com.google.protobuf.ByteString;
import dev.cofferdam.kit.client.TwoWayCall;
import dev.cofferdam.v1.ForwardRequest;
import dev.cofferdam.v1.ForwardResponse;
import io.grpc.Status;
import io.grpc.StatusException;
import java.io.IOException;
import java.io.OutputStream;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.sshd.client.future.DefaultOpenFuture;
import org.apache.sshd.client.future.OpenFuture;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.channel.ChannelOutputStream;
import org.apache.sshd.common.channel.exception.SshChannelOpenException;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.server.channel.AbstractServerChannel;
import org.slf4j.LoggerFactory;

/**
 * A connection to a port of the sandbox ({@code ssh -L}, {@code -W}, {@code -D}): to its loopback,
 * and to nothing else. What the client sends waits in a queue that its window bounds.
 */
final class PortChannel extends AbstractServerChannel {
  private static final Set<String> LOOPBACK = Set.of("localhost", "127.0.0.1", "::1", "[::1]");
  private static final int MAX_PORT = 65535;
  private static final int CHUNK = 64 << 10;

  private final SshLogin login;
  private final Executor threads;

  /** Ends with an empty one. */
  private final BlockingQueue<ByteString> sent = new LinkedBlockingQueue<>();

  private final TwoWayCall<ForwardRequest, ForwardResponse> call;

  PortChannel(SshLogin login, Executor threads) {
    super("direct-tcpip", List.of(), null);
    this.login = login;
    this.threads = threads;
    this.call = login.tenant().forward();
  }

  @Override
  protected OpenFuture doInit(Buffer buffer) {
    login.begun();
    DefaultOpenFuture opened = new DefaultOpenFuture(this, this);
    String host = buffer.getString();
    int port = buffer.getInt();
    if (!LOOPBACK.contains(host) && !host.equals(login.sandbox())) {
      opened.setException(
          refused(
              SshConstants.SSH_OPEN_ADMINISTRATIVELY_PROHIBITED,
              "only the sandbox itself can be connected to, as localhost"));
      over();
      return opened;
    }
    if (port < 1 || port > MAX_PORT) {
      opened.setException(
          refused(SshConstants.SSH_OPEN_CONNECT_FAILED, "a port is 1 to " + MAX_PORT));
      over();
      return opened;
    }
    threads.execute(() -> {
      try {
        connect(port, opened);
      } finally {
        over();
      }
    });
    return opened;
  }

  private SshChannelOpenException refused(int reason, String message) {
    return new SshChannelOpenException(getChannelId(), reason, message);
  }

  private void over() {
    call.cancel("the channel is over");
    threads.execute(login::done);
  }

  private void connect(int port, DefaultOpenFuture opened) {
    try {
      var _ =
          call.write(ForwardRequest.newBuilder().setSandbox(login.sandbox()).setPort(port).build());
      if (call.read().isEmpty()) {
        throw Status.UNAVAILABLE.withDescription("the port took no connection").asException();
      }
    } catch (StatusException e) {
      opened.setException(
          refused(
              e.getStatus().getCode() == Status.Code.PERMISSION_DENIED
                  ? SshConstants.SSH_OPEN_ADMINISTRATIVELY_PROHIBITED
                  : SshConstants.SSH_OPEN_CONNECT_FAILED,
              String.valueOf(e.getStatus().getDescription())));
      return;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      opened.setException(e);
      return;
    }
    signalChannelOpenSuccess();
    opened.setOpened();
    threads.execute(this::feed);
    try (OutputStream out =
        new ChannelOutputStream(
            this,
            getRemoteWindow(),
            LoggerFactory.getLogger(PortChannel.class),
            SshConstants.SSH_MSG_CHANNEL_DATA,
            true)) {
      follow(out);
    } catch (StatusException | IOException e) {
      // Broken off on one side, and so on the other.
      var _ = close(true);
      return;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    var _ = close(false);
  }

  private void follow(OutputStream out) throws StatusException, InterruptedException, IOException {
    boolean ended = false;
    for (Optional<ForwardResponse> next = call.read(); next.isPresent(); next = call.read()) {
      next.get().getData().writeTo(out);
      out.flush();
      if (next.get().getEnd() && !ended) {
        ended = true;
        var _ = sendEof();
      }
    }
  }

  private void feed() {
    try {
      for (ByteString data = sent.take(); !data.isEmpty(); data = sent.take()) {
        for (int from = 0; from < data.size(); from += CHUNK) {
          ByteString part = data.substring(from, Math.min(data.size(), from + CHUNK));
          if (!call.write(ForwardRequest.newBuilder().setData(part).build())) {
            return;
          }
        }
        getLocalWindow().release(data.size());
      }
      call.halfClose();
    } catch (StatusException | IOException e) {
      // Told by the other direction.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  protected void doWriteData(byte[] data, int offset, long length) {
    if (length > 0) {
      sent.add(ByteString.copyFrom(data, offset, Math.toIntExact(length)));
    }
  }

  @Override
  protected void doWriteExtendedData(byte[] data, int offset, long length) throws IOException {
    throw new IOException("a connection has no extended data");
  }

  @Override
  public void handleEof() throws IOException {
    super.handleEof();
    sent.add(ByteString.EMPTY);
  }

  @Override
  protected void preClose() {
    sent.add(ByteString.EMPTY);
    call.cancel("the channel is closed");
    super.preClose();
  }
}
