package dev.cofferdam.kit.relay;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.WireFormat;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.ServerCall;
import io.grpc.ServerServiceDefinition;
import io.grpc.ServiceDescriptor;
import io.grpc.Status;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Serves a whole service by passing each call on as bytes. Of the first message only field 1, the
 * sandbox, is read; that is how a call finds its way. Each side is asked for its next message only
 * when the other can take it, so a slow reader slows the writer and nothing piles up in between.
 */
public final class OpaqueRelay {
  /**
   * Decides where a call goes. Runs on the call's thread, with its caller in the context; may
   * block.
   */
  @FunctionalInterface
  public interface Router {
    /** Throws a {@link Refusal} for a call that goes nowhere. */
    Route route(String sandbox, MethodDescriptor<?, ?> method);

    /**
     * For who has to see more of it.
     *
     * @param first message, as it will be sent on
     */
    default Route route(byte[] first, MethodDescriptor<?, ?> method) {
      return route(sandboxOf(first), method);
    }
  }

  /**
   * @param options for instance a deadline
   * @param headers sent on with the call; nothing of the incoming headers is
   */
  public record Route(Channel channel, CallOptions options, Metadata headers) {}

  private static final MethodDescriptor.Marshaller<byte[]> BYTES =
      new MethodDescriptor.Marshaller<>() {
        @Override
        public InputStream stream(byte[] value) {
          return new ByteArrayInputStream(value);
        }

        @Override
        public byte[] parse(InputStream stream) {
          try {
            return stream.readAllBytes();
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        }
      };

  /** The reason of a refusal travels in here; no other trailer is passed on. */
  private static final Metadata.Key<byte[]> DETAILS =
      Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

  private OpaqueRelay() {}

  public static ServerServiceDefinition service(ServiceDescriptor service, Router router) {
    ServiceDescriptor.Builder descriptor = ServiceDescriptor.newBuilder(service.getName());
    if (service.getSchemaDescriptor() != null) {
      // Reflection still answers with the real contract.
      descriptor.setSchemaDescriptor(service.getSchemaDescriptor());
    }
    service.getMethods().forEach(method -> descriptor.addMethod(bytes(method)));
    ServiceDescriptor built = descriptor.build();
    ServerServiceDefinition.Builder result = ServerServiceDefinition.builder(built);
    for (MethodDescriptor<?, ?> method : built.getMethods()) {
      @SuppressWarnings("unchecked") // built above, every method with the bytes marshaller
      MethodDescriptor<byte[], byte[]> relayed = (MethodDescriptor<byte[], byte[]>) method;
      result.addMethod(
          relayed,
          (call, headers) -> {
            Relayed relay = new Relayed(call, relayed, router);
            call.request(1);
            return relay;
          });
    }
    return result.build();
  }

  /**
   * Field 1 of a message, as protobuf reads a string field: of several the last counts. Empty when
   * absent.
   *
   * @throws Refusal for bytes that are no message
   */
  public static String sandboxOf(byte[] message) {
    CodedInputStream in = CodedInputStream.newInstance(message);
    String sandbox = "";
    try {
      for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
        if (WireFormat.getTagFieldNumber(tag) == 1
            && WireFormat.getTagWireType(tag) == WireFormat.WIRETYPE_LENGTH_DELIMITED) {
          sandbox = in.readStringRequireUtf8();
        } else if (!in.skipField(tag)) {
          throw malformed();
        }
      }
    } catch (IOException e) {
      throw malformed();
    }
    return sandbox;
  }

  private static Refusal malformed() {
    return new Refusal(
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT, "the first message is no protobuf message");
  }

  private static MethodDescriptor<byte[], byte[]> bytes(MethodDescriptor<?, ?> method) {
    return MethodDescriptor.<byte[], byte[]>newBuilder(BYTES, BYTES)
        .setFullMethodName(method.getFullMethodName())
        .setType(method.getType())
        .setSchemaDescriptor(method.getSchemaDescriptor())
        .build();
  }

  /** One call. gRPC runs the events of each side one at a time; the lock orders the two sides. */
  private static final class Relayed extends ServerCall.Listener<byte[]> {
    private final ServerCall<byte[], byte[]> server;
    private final MethodDescriptor<byte[], byte[]> method;
    private final Router router;
    private final Object lock = new Object();
    private @Nullable ClientCall<byte[], byte[]> client;
    private boolean requestWanted;
    private boolean answerWanted;
    private boolean closed;

    Relayed(
        ServerCall<byte[], byte[]> server, MethodDescriptor<byte[], byte[]> method, Router router) {
      this.server = server;
      this.method = method;
      this.router = router;
    }

    @Override
    public void onMessage(byte[] message) {
      @Nullable ClientCall<byte[], byte[]> to = client;
      if (to == null) {
        Route route = router.route(message, method);
        to = route.channel().newCall(method, route.options());
        synchronized (lock) {
          client = to;
        }
        to.start(new Answers(), route.headers());
        to.request(1);
      }
      to.sendMessage(message);
      synchronized (lock) {
        if (to.isReady()) {
          server.request(1);
        } else {
          requestWanted = true;
        }
      }
    }

    @Override
    public void onHalfClose() {
      @Nullable ClientCall<byte[], byte[]> to = client;
      if (to == null) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_INVALID_ARGUMENT, "the call ended before its first message");
      }
      to.halfClose();
    }

    @Override
    public void onCancel() {
      @Nullable ClientCall<byte[], byte[]> to = client;
      if (to != null) {
        to.cancel("the caller went away", null);
      }
    }

    @Override
    public void onReady() {
      synchronized (lock) {
        if (answerWanted && client != null) {
          answerWanted = false;
          client.request(1);
        }
      }
    }

    private final class Answers extends ClientCall.Listener<byte[]> {
      private boolean headersSent;

      @Override
      public void onMessage(byte[] message) {
        synchronized (lock) {
          if (closed) {
            return;
          }
          if (!headersSent) {
            headersSent = true;
            server.sendHeaders(new Metadata());
          }
          server.sendMessage(message);
          if (server.isReady()) {
            if (client != null) {
              client.request(1);
            }
          } else {
            answerWanted = true;
          }
        }
      }

      @Override
      public void onClose(Status status, Metadata trailers) {
        synchronized (lock) {
          if (!closed) {
            closed = true;
            Metadata passed = new Metadata();
            passed.merge(trailers, Set.of(DETAILS));
            if (status.isOk() && !headersSent) {
              server.sendHeaders(new Metadata());
            }
            server.close(status.withCause(null), passed);
          }
        }
      }

      @Override
      public void onReady() {
        synchronized (lock) {
          if (requestWanted) {
            requestWanted = false;
            server.request(1);
          }
        }
      }
    }
  }
}
