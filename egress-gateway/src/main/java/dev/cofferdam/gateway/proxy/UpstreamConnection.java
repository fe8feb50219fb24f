package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.policy.Decision;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.slot.Attachment;
import dev.cofferdam.gateway.slot.Slot;
import io.netty.channel.Channel;
import java.net.InetAddress;
import java.time.Instant;

/** One TCP connection to an upstream. It is shared by no two sandboxes. Used on its event loop. */
final class UpstreamConnection implements Slot.Tenant {
  /**
   * What two requests must have in common to share a connection; the address and the certificate
   * are those that the connection was made with.
   */
  record Key(String tenant, String sandbox, Host.Name host, int port, boolean tls) {}

  final Key key;
  final InetAddress address;
  final Channel channel;
  final boolean http2;
  final Instant certificateEnd;
  int streams;
  int maxStreams = 100;
  volatile boolean retired;
  boolean used;
  long idleSince;

  UpstreamConnection(
      Key key, InetAddress address, Channel channel, boolean http2, Instant certificateEnd) {
    this.key = key;
    this.address = address;
    this.channel = channel;
    this.http2 = http2;
    this.certificateEnd = certificateEnd;
  }

  /**
   * Closes it, and serves nothing more meanwhile: saying goodbye in TLS takes a while in which the
   * channel is still active.
   */
  void retire() {
    retired = true;
    channel.close();
  }

  @Override
  public void reconsider(Attachment attachment) {
    if (!(attachment.policy().decide(key.host(), key.port()) instanceof Decision.Allowed)) {
      retire();
    }
  }

  @Override
  public void end() {
    retire();
  }
}
