package dev.cofferdam.testkit;

import io.grpc.BindableService;
import io.grpc.Channel;
import io.grpc.ManagedChannel;
import io.grpc.Server;
import io.grpc.ServerInterceptor;
import io.grpc.inprocess.InProcessChannelBuilder;
import io.grpc.inprocess.InProcessServerBuilder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/**
 * gRPC services served to the test's own process, with serialisation and flow control but without
 * sockets. Handlers run on virtual threads, as in the services.
 */
public final class InProcess implements AutoCloseable {
  private final ExecutorService handlers = Executors.newVirtualThreadPerTaskExecutor();
  private final Server server;
  private final ManagedChannel channel;

  private InProcess(List<BindableService> services, List<ServerInterceptor> interceptors) {
    String name = InProcessServerBuilder.generateName();
    InProcessServerBuilder builder = InProcessServerBuilder.forName(name).executor(handlers);
    services.forEach(builder::addService);
    interceptors.forEach(builder::intercept);
    try {
      server = builder.build().start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    channel = InProcessChannelBuilder.forName(name).build();
  }

  public static InProcess serve(BindableService... services) {
    return new InProcess(List.of(services), List.of());
  }

  /** The last interceptor is the first to see a call, as with {@code ServerBuilder}. */
  public static InProcess serve(List<ServerInterceptor> interceptors, BindableService... services) {
    return new InProcess(List.of(services), interceptors);
  }

  public Channel channel() {
    return channel;
  }

  /** Ends open calls with {@code UNAVAILABLE} and returns once every handler has returned. */
  @Override
  public void close() {
    channel.shutdownNow();
    server.shutdownNow();
    try {
      if (!server.awaitTermination(30, TimeUnit.SECONDS)
          || !channel.awaitTermination(30, TimeUnit.SECONDS)) {
        throw new IllegalStateException("a call did not end within 30 s of being cancelled");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    handlers.close();
  }
}
