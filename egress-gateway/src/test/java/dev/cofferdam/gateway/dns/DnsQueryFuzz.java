package dev.cofferdam.gateway.dns;

import dev.cofferdam.gateway.policy.Host;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.channel.socket.DatagramPacket;
import io.netty.handler.codec.CodecException;
import io.netty.handler.codec.dns.DatagramDnsQuery;
import io.netty.handler.codec.dns.DatagramDnsQueryDecoder;
import io.netty.handler.codec.dns.DnsQuestion;
import io.netty.handler.codec.dns.DnsSection;
import java.net.InetSocketAddress;

/** Whatever comes to port 53: it is a query or nothing, and a name in it is a host or none. */
public final class DnsQueryFuzz {
  private static final InetSocketAddress HERE = new InetSocketAddress("127.0.0.1", 53);
  private static final InetSocketAddress THERE = new InetSocketAddress("127.0.1.5", 4000);

  private DnsQueryFuzz() {}

  public static void fuzzerTestOneInput(byte[] input) {
    EmbeddedChannel channel = new EmbeddedChannel(new DatagramDnsQueryDecoder());
    try {
      channel.writeInbound(new DatagramPacket(Unpooled.copiedBuffer(input), HERE, THERE));
      DatagramDnsQuery query = channel.readInbound();
      if (query != null) {
        for (int i = 0; i < query.count(DnsSection.QUESTION); i++) {
          DnsQuestion question = query.recordAt(DnsSection.QUESTION, i);
          Host.parse(question.name());
        }
        query.release();
      }
    } catch (CodecException e) {
      // It is none.
    } finally {
      channel.finishAndReleaseAll();
    }
  }
}
