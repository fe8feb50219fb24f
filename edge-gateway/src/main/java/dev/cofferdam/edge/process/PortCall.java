package dev.cofferdam.edge.process;

import com.google.protobuf.ByteString;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.kit.client.TwoWayCall;
import dev.cofferdam.v1.ForwardRequest;
import dev.cofferdam.v1.ForwardResponse;
import io.grpc.Status;
import io.grpc.StatusException;
import java.util.Optional;

/** A connection to a port in the guest. */
final class PortCall implements AutoCloseable {
  /** Of one message to the guest. */
  private static final int CHUNK = 64 << 10;

  private final TwoWayCall<ForwardRequest, ForwardResponse> call;

  private PortCall(TwoWayCall<ForwardRequest, ForwardResponse> call) {
    this.call = call;
  }

  /** Returns once it is made. */
  static PortCall open(SessionContext context, int port)
      throws StatusException, InterruptedException {
    PortCall opened = new PortCall(context.tenant().forward());
    boolean made = false;
    try {
      var _ =
          opened.call.write(
              ForwardRequest.newBuilder().setSandbox(context.sandbox()).setPort(port).build());
      if (opened.call.read().isEmpty()) {
        throw Status.UNAVAILABLE.withDescription("the connection was not made").asException();
      }
      made = true;
      return opened;
    } finally {
      if (!made) {
        opened.close();
      }
    }
  }

  void write(ByteString data) throws StatusException, InterruptedException {
    for (int from = 0; from < data.size(); from += CHUNK) {
      ByteString part = data.substring(from, Math.min(data.size(), from + CHUNK));
      if (!call.write(ForwardRequest.newBuilder().setData(part).build())) {
        return;
      }
    }
  }

  /** Empty at the end. */
  Optional<ByteString> read() throws StatusException, InterruptedException {
    Optional<ForwardResponse> next = call.read();
    return next.isPresent() && next.get().getEnd()
        ? Optional.empty()
        : next.map(ForwardResponse::getData);
  }

  @Override
  public void close() {
    call.cancel("done");
  }
}
