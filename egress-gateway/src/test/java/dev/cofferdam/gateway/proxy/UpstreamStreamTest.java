package dev.cofferdam.gateway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.gateway.policy.Host;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.netty.channel.embedded.EmbeddedChannel;
import java.net.InetAddress;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class UpstreamStreamTest {
  /** An answer that cannot be handled is no answer: what came of it so far is cut off. */
  @Test
  void aFaultInHandlingAnAnswerEndsItsConnection() {
    SimpleMeterRegistry meters = new SimpleMeterRegistry();
    EmbeddedChannel channel = new EmbeddedChannel();
    new ConnectionMeters(meters, new Faults(meters, () -> 0)).opened(channel);
    UpstreamConnection connection =
        new UpstreamConnection(
            new UpstreamConnection.Key(
                "default", "sb-1", new Host.Name("a.example.com"), 443, true, false),
            InetAddress.getLoopbackAddress(),
            channel,
            false,
            Instant.MAX);
    UpstreamStream stream =
        new UpstreamStream(
            new UpstreamPool(channel.eventLoop(), InstantSource.system()),
            connection,
            channel,
            false);
    channel.pipeline().addLast(stream);
    List<String> told = new ArrayList<>();
    stream.listen(
        new UpstreamStream.Listener() {
          @Override
          public void answered(Object part) {
            throw new IllegalStateException("cannot handle " + part);
          }

          @Override
          public void answeredSoFar() {}

          @Override
          public void upstreamWritable() {}

          @Override
          public void upstreamClosed() {
            told.add("closed");
          }
        });

    channel.writeInbound("a part");

    assertThat(channel.isOpen()).isFalse();
    assertThat(told).containsExactly("closed");
    assertThat(meters.get("cofferdam.gateway.faults").tag("side", "upstream").counter().count())
        .isEqualTo(1);
  }
}
