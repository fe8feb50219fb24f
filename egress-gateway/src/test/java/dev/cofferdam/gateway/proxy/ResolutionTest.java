package dev.cofferdam.gateway.proxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.common.base.Splitter;
import dev.cofferdam.gateway.AttackRow;
import dev.cofferdam.gateway.policy.AddressRules;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.kit.upstream.HostsFile;
import dev.cofferdam.v1.EgressReason;
import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoop;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.epoll.EpollDatagramChannel;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.handler.codec.dns.DatagramDnsQuery;
import io.netty.handler.codec.dns.DatagramDnsQueryDecoder;
import io.netty.handler.codec.dns.DatagramDnsResponse;
import io.netty.handler.codec.dns.DatagramDnsResponseEncoder;
import io.netty.handler.codec.dns.DefaultDnsRawRecord;
import io.netty.handler.codec.dns.DnsQuestion;
import io.netty.handler.codec.dns.DnsRecordType;
import io.netty.handler.codec.dns.DnsResponseCode;
import io.netty.handler.codec.dns.DnsSection;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The gateway's own look-ups, against a real DNS server whose answers a test changes. */
final class ResolutionTest {
  private final EventLoopGroup group =
      new MultiThreadIoEventLoopGroup(1, EpollIoHandler.newFactory());
  private final AtomicReference<String> address = new AtomicReference<>("8.8.8.8");
  private final AtomicInteger asked = new AtomicInteger();
  private final Host.Name name = new Host.Name("api.example.com");
  private Resolution resolution;

  @SuppressWarnings("NullAway.Init") // before each test
  ResolutionTest() {}

  @BeforeEach
  void start() {
    Channel server =
        new Bootstrap()
            .group(group)
            .channel(EpollDatagramChannel.class)
            .handler(
                new ChannelInitializer<>() {
                  @Override
                  protected void initChannel(Channel channel) {
                    channel
                        .pipeline()
                        .addLast(
                            new DatagramDnsQueryDecoder(),
                            new DatagramDnsResponseEncoder(),
                            new Answers());
                  }
                })
            .bind("127.0.0.1", 0)
            .syncUninterruptibly()
            .channel();
    EventLoop loop = group.next();
    resolution =
        new Resolution(
            loop,
            new AddressRules(
                HostsFile.parse(List.of("10.9.8.7 pinned.example.com")), 7400, 7480, _ -> false),
            List.of((InetSocketAddress) server.localAddress()),
            new Limits(
                1,
                1,
                1,
                1,
                Duration.ofSeconds(5),
                Duration.ofSeconds(5),
                Duration.ofSeconds(5),
                Duration.ofSeconds(5)),
            Optional.empty());
  }

  @AfterEach
  void stop() {
    group.shutdownGracefully(0, 1, TimeUnit.SECONDS).syncUninterruptibly();
  }

  private final class Answers extends SimpleChannelInboundHandler<DatagramDnsQuery> {
    @Override
    protected void channelRead0(ChannelHandlerContext ctx, DatagramDnsQuery query)
        throws Exception {
      DnsQuestion question = query.recordAt(DnsSection.QUESTION);
      DatagramDnsResponse answer =
          new DatagramDnsResponse(
              /* sender= */ query.recipient(), /* recipient= */ query.sender(), query.id());
      answer.addRecord(DnsSection.QUESTION, question);
      boolean ofAddresses = question.type().equals(DnsRecordType.A);
      switch (question.name()) {
        case "api.example.com." -> {
          if (ofAddresses) {
            asked.incrementAndGet();
            answer.addRecord(DnsSection.ANSWER, address(question.name(), address.get()));
          }
        }
        case "alias.example.com." -> {
          answer.addRecord(DnsSection.ANSWER, alias(question.name(), "api.example.com."));
          if (ofAddresses) {
            answer.addRecord(DnsSection.ANSWER, address("api.example.com.", address.get()));
          }
        }
        case "many.example.com." -> {
          if (ofAddresses) {
            answer.addRecord(DnsSection.ANSWER, address(question.name(), "8.8.8.8"));
            answer.addRecord(DnsSection.ANSWER, address(question.name(), address.get()));
          }
        }
        default -> answer.setCode(DnsResponseCode.NXDOMAIN);
      }
      ctx.writeAndFlush(answer);
    }
  }

  private static DefaultDnsRawRecord address(String name, String address) throws Exception {
    byte[] bytes = InetAddress.getByName(address).getAddress();
    return new DefaultDnsRawRecord(name, DnsRecordType.A, 0, Unpooled.wrappedBuffer(bytes));
  }

  private static DefaultDnsRawRecord alias(String name, String of) {
    ByteBuf encoded = Unpooled.buffer();
    for (String label : Splitter.on('.').omitEmptyStrings().split(of)) {
      encoded.writeByte(label.length()).writeCharSequence(label, StandardCharsets.US_ASCII);
    }
    return new DefaultDnsRawRecord(name, DnsRecordType.CNAME, 0, encoded.writeByte(0));
  }

  private List<String> resolve(Host.Name host) throws Exception {
    return resolution.resolve(host, 443).get(20, TimeUnit.SECONDS).stream()
        .map(InetAddress::getHostAddress)
        .toList();
  }

  /** ATTACKS.md rows 26 and 27. */
  @AttackRow(27)
  @Test
  void aRecordWithoutALifetimeWorksAndIsAskedForEachTime() throws Exception {
    assertThat(resolve(name)).containsExactly("8.8.8.8");

    address.set("8.8.4.4");

    assertThat(resolve(name)).containsExactly("8.8.4.4");
    assertThat(asked).hasValue(2);
  }

  @AttackRow(27)
  @Test
  void anAliasWithoutALifetimeLeadsWhereItLeadsNow() throws Exception {
    Host.Name alias = new Host.Name("alias.example.com");
    assertThat(resolve(alias)).containsExactly("8.8.8.8");

    address.set("8.8.4.4");

    assertThat(resolve(alias)).containsExactly("8.8.4.4");
  }

  /** One that may not be reached spoils none of the others, and is not reached. */
  @AttackRow(27)
  @Test
  void ofSeveralWithoutALifetimeEachIsJudged() throws Exception {
    Host.Name many = new Host.Name("many.example.com");
    address.set("8.8.4.4");
    assertThat(resolve(many)).containsExactlyInAnyOrder("8.8.8.8", "8.8.4.4");

    address.set("10.1.2.3");

    assertThat(resolve(many)).containsExactly("8.8.8.8");
  }

  /** ATTACKS.md rows 25 and 26. */
  @AttackRow({25, 26})
  @Test
  void aNameThatIsRebornAsAPrivateAddressIsRefused() throws Exception {
    assertThat(resolve(name)).containsExactly("8.8.8.8");

    address.set("169.254.169.254");

    assertThatThrownBy(() -> resolve(name))
        .isInstanceOf(ExecutionException.class)
        .cause()
        .isInstanceOfSatisfying(
            UpstreamException.class,
            e -> assertThat(e.reason()).isEqualTo(EgressReason.EGRESS_REASON_PRIVATE_ADDRESS));
  }

  @Test
  void aNameThatNobodyKnowsIsNotResolved() {
    assertThatThrownBy(() -> resolve(new Host.Name("nobody.example.com")))
        .cause()
        .isInstanceOfSatisfying(
            UpstreamException.class,
            e -> assertThat(e.reason()).isEqualTo(EgressReason.EGRESS_REASON_NAME_NOT_RESOLVED));
  }

  @AttackRow(25)
  @Test
  void whatThisHostCallsLocalhostIsNotAskedOfItself() {
    assertThatThrownBy(() -> resolve(new Host.Name("localhost")))
        .cause()
        .isInstanceOf(UpstreamException.class);
  }

  @AttackRow(26)
  @Test
  void aPinnedNameIsNeverAskedFor() throws Exception {
    assertThat(resolve(new Host.Name("pinned.example.com"))).containsExactly("10.9.8.7");
    assertThat(asked).hasValue(0);
  }
}
