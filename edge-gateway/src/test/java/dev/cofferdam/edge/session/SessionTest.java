package dev.cofferdam.edge.session;

import static org.assertj.core.api.Assertions.assertThat;

import com.linecorp.armeria.common.websocket.WebSocket;
import com.linecorp.armeria.common.websocket.WebSocketWriter;
import dev.cofferdam.edge.mesh.Tenant;
import io.grpc.Channel;
import io.grpc.inprocess.InProcessChannelBuilder;
import io.netty.util.concurrent.DefaultEventExecutor;
import io.netty.util.concurrent.EventExecutor;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

final class SessionTest {
  private static final SessionLimits LIMITS =
      new SessionLimits(1 << 20, 16, 16, 1 << 20, 1 << 20, Duration.ofSeconds(15));

  /** On another loop a socket stops being read once in a long while, and nobody sees why. */
  @Test
  void aSocketIsReadOnTheLoopOfItsConnection() throws Exception {
    List<Object> with = new CopyOnWriteArrayList<>();
    WebSocketWriter frames = WebSocket.streaming();
    WebSocket in =
        (WebSocket)
            Proxy.newProxyInstance(
                WebSocket.class.getClassLoader(),
                new Class<?>[] {WebSocket.class},
                (_, method, arguments) -> {
                  if (method.getName().equals("subscribe")) {
                    with.addAll(Arrays.asList(arguments).subList(1, arguments.length));
                  }
                  return method.invoke(frames, arguments);
                });
    EventExecutor loop = new DefaultEventExecutor();
    Channel nobody = InProcessChannelBuilder.forName("nobody").directExecutor().build();
    CompletableFuture<Boolean> over = new CompletableFuture<>();
    Session session =
        new Session(
            new Tenant(nobody, Optional.empty()),
            "sb-a",
            Peer.ofUserAgent(""),
            new Session.Connection(loop, () -> {}, () -> {}),
            LIMITS,
            new AtomicLong(),
            new MemoryBudget(1 << 20).open("token"),
            List.of(),
            task -> Thread.ofVirtual().start(task),
            () -> over.complete(true));
    var _ = session.start(in);
    assertThat(with).containsExactly(loop);
    frames.close();
    assertThat(over.get(60, TimeUnit.SECONDS)).isTrue();
    loop.shutdownGracefully(0, 0, TimeUnit.SECONDS).sync();
  }
}
