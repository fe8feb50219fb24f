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
   *
   * @param http2 may be spoken
   */
  record Key(String tenant, String sandbox, Host.Name host, int port, boolean tls, boolean http2) {
    boolean allowedBy(Attachment attachment) {
      return attachment.policy().decide(host, port) instanceof Decision.Allowed;
    }

    Key inHttp1() {
      return new Key(tenant, sandbox, host, port, tls, false);
    }

    boolean sameSandbox(Key other) {
      return tenant.equals(other.tenant) && sandbox.equals(other.sandbox);
    }
  }

  final Key key;
  final InetAddress address;
  final Channel channel;
  final boolean http2;
  final Instant certificateEnd;
  int streams;
  int maxStreams = 100;

  /** Whether it takes a WebSocket as a stream of HTTP/2 (RFC 8441). */
  boolean extendedConnect;

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

  /** Whether it serves nothing; of HTTP/1.1 that is so while it is in the pool. */
  boolean idle() {
    return streams == 0;
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
    if (!key.allowedBy(attachment)) {
      retire();
    }
  }

  @Override
  public void end() {
    retire();
  }
}
