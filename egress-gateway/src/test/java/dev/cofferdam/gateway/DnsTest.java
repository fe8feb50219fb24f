package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.epoll.EpollDatagramChannel;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.handler.codec.dns.DefaultDnsQuestion;
import io.netty.handler.codec.dns.DnsRecordType;
import io.netty.handler.codec.dns.DnsResponse;
import io.netty.handler.codec.dns.DnsResponseCode;
import io.netty.handler.codec.dns.DnsSection;
import io.netty.resolver.ResolvedAddressTypes;
import io.netty.resolver.dns.DnsNameResolver;
import io.netty.resolver.dns.DnsNameResolverBuilder;
import io.netty.resolver.dns.SingletonDnsServerAddressStreamProvider;
import java.io.DataInputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A real resolver client against the guest's only resolver. */
final class DnsTest {
  private static Harness harness;
  private static EventLoopGroup group;
  private static DnsNameResolver resolver;

  @BeforeAll
  static void start(@TempDir Path directory) throws Exception {
    harness = new Harness(directory, false);
    group = new MultiThreadIoEventLoopGroup(1, EpollIoHandler.newFactory());
    resolver = resolver(Harness.SLOT);
  }

  private static DnsNameResolver resolver(String slot) {
    return new DnsNameResolverBuilder(group.next())
        .datagramChannelType(EpollDatagramChannel.class)
        .localAddress(new InetSocketAddress(slot, 0))
        .nameServerProvider(new SingletonDnsServerAddressStreamProvider(harness.dns))
        .resolvedAddressTypes(ResolvedAddressTypes.IPV4_ONLY)
        .queryTimeoutMillis(3000)
        .build();
  }

  @AfterAll
  static void stop() throws Exception {
    resolver.close();
    group.shutdownGracefully(0, 1, TimeUnit.SECONDS).sync();
    harness.close();
  }

  private static InetAddress address(String name) throws Exception {
    return resolver.resolve(name).get(20, TimeUnit.SECONDS);
  }

  private static DnsResponse query(String name, DnsRecordType type) throws Exception {
    return resolver.query(new DefaultDnsQuestion(name, type)).get(20, TimeUnit.SECONDS).content();
  }

  @Test
  void anAllowedNameHasASyntheticAddressThatStaysItsOwn() throws Exception {
    InetAddress api = address("api.example.test");
    InetAddress other = address("other.example.test");

    assertThat(api.getHostAddress()).startsWith("198.18.");
    assertThat(api).isNotEqualTo(other);
    assertThat(address("API.example.test")).isEqualTo(api);
    var slot = harness.slots.at(InetAddress.getByName(Harness.SLOT)).orElseThrow();
    assertThat(slot.names().nameOf(api).orElseThrow().value()).isEqualTo("api.example.test");
  }

  @AttackRow(28)
  @Test
  void anotherNameDoesNotExistAndIsRecorded() throws Exception {
    assertThatThrownBy(() -> address("evil.example.test"))
        .hasCauseInstanceOf(UnknownHostException.class);
    AuditEvent event = harness.broker.event(e -> e.getHost().equals("evil.example.test"));
    assertThat(event.getReason()).isEqualTo(EgressReason.EGRESS_REASON_NAME_NOT_ALLOWED);
    assertThat(event.getProtocol()).isEqualTo("dns");
    assertThat(event.getSandbox()).isEqualTo("sb-1");
  }

  /** Long labels and odd types get an answer, and nobody else is asked. */
  @AttackRow(28)
  @ParameterizedTest
  @ValueSource(strings = {"TXT", "MX", "NS", "SRV", "ANY", "PTR", "CNAME", "SOA"})
  void row28_otherTypesAreRefusedForAllowedNamesToo(String type) throws Exception {
    DnsResponse answer = query("api.example.test", DnsRecordType.valueOf(type));

    assertThat(answer.code()).isEqualTo(DnsResponseCode.REFUSED);
    answer.release();
  }

  @AttackRow(28)
  @Test
  void row28_longLabelsDoNotExist() throws Exception {
    DnsResponse answer =
        query("a".repeat(63) + "." + "b".repeat(63) + ".example.test", DnsRecordType.TXT);

    assertThat(answer.code()).isEqualTo(DnsResponseCode.NXDOMAIN);
    assertThat(answer.count(DnsSection.ANSWER)).isZero();
    answer.release();
  }

  @AttackRow(28)
  @ParameterizedTest
  @ValueSource(ints = {28, 64, 65})
  void typesThatWouldLeadAroundTheGatewayAreEmpty(int type) throws Exception {
    DnsResponse answer = query("api.example.test", DnsRecordType.valueOf(type));

    assertThat(answer.code()).isEqualTo(DnsResponseCode.NOERROR);
    assertThat(answer.count(DnsSection.ANSWER)).isZero();
    answer.release();
  }

  @Test
  void tcpAnswersToo() throws Exception {
    byte[] query =
        "\0\1\1\0\0\1\0\0\0\0\0\0\3api\7example\4test\0\0\1\0\1"
            .getBytes(StandardCharsets.ISO_8859_1);
    try (Socket socket = new Socket()) {
      socket.bind(new InetSocketAddress(Harness.SLOT, 0));
      socket.connect(harness.dns);
      socket.getOutputStream().write(new byte[] {0, (byte) query.length});
      socket.getOutputStream().write(query);
      DataInputStream in = new DataInputStream(socket.getInputStream());
      byte[] answer = in.readNBytes(in.readUnsignedShort());

      assertThat(answer[answer.length - 4] & 0xff).isEqualTo(198);
      assertThat(answer[answer.length - 3]).isEqualTo((byte) 18);
    }
  }

  private static Socket tcp(String slot) throws Exception {
    Socket socket = new Socket();
    socket.bind(new InetSocketAddress(slot, 0));
    socket.connect(harness.dns);
    socket.setSoTimeout(60_000);
    return socket;
  }

  private static boolean closed(Socket socket) throws Exception {
    try {
      return socket.getInputStream().read() < 0;
    } catch (SocketException e) {
      return true;
    }
  }

  /** From the same stranger as below: what repeats within a second is told as the first was. */
  @AttackRow(35)
  @Test
  void tcpFromAnUnknownSlotIsClosedBeforeItAsks() throws Exception {
    try (Socket stranger = tcp("127.0.1.98")) {
      assertThat(closed(stranger)).isTrue();
    }
    assertThat(harness.broker.event(e -> e.getMessage().contains("127.0.1.98")).getReason())
        .isEqualTo(EgressReason.EGRESS_REASON_UNKNOWN_SLOT);
  }

  @Test
  void tcpIsCountedAmongTheConnectionsOfItsSandbox() throws Exception {
    // Its own sandbox: a closed connection is counted until the gateway has seen its end.
    harness.attachSecond();
    List<Socket> open = new ArrayList<>();
    try {
      // One more than the limit, in the order of the listener's queue.
      for (int i = 0; i <= harness.surroundings.limits().connectionsPerSandbox(); i++) {
        open.add(tcp(Harness.SECOND_SLOT));
      }
      assertThat(closed(open.getLast())).isTrue();
    } finally {
      for (Socket socket : open) {
        socket.close();
      }
    }
  }

  @AttackRow(33)
  @Test
  void tcpWithoutAWholeQueryIsClosed() throws Exception {
    try (Socket slow = tcp(Harness.SLOT)) {
      long began = System.nanoTime();
      Thread trickle =
          Thread.ofVirtual()
              .start(() -> {
                try {
                  slow.getOutputStream().write(new byte[] {0, 100});
                  while (true) {
                    // Far more often than the deadline; the socket's end ends it.
                    slow.getOutputStream().write(0);
                    java.util.concurrent.locks.LockSupport.parkNanos(500_000_000);
                  }
                } catch (java.io.IOException e) {
                  // It was closed.
                }
              });
      assertThat(closed(slow)).isTrue();
      trickle.join();
      assertThat(System.nanoTime() - began).isGreaterThan(1_000_000_000L);
    }
  }

  @AttackRow(35)
  @Test
  void anUnknownSlotGetsNoAnswer() throws Exception {
    try (DnsNameResolver stranger = resolver("127.0.1.98")) {
      assertThatThrownBy(() -> stranger.resolve("api.example.test").get(20, TimeUnit.SECONDS))
          .hasCauseInstanceOf(UnknownHostException.class);
    }
    assertThat(
            harness
                .broker
                .event(e ->
                    e.getReason() == EgressReason.EGRESS_REASON_UNKNOWN_SLOT
                        && e.getMessage().contains("127.0.1.98"))
                .getVerdictValue())
        .isEqualTo(2);
  }
}
