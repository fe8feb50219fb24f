package dev.cofferdam.edge.ssh;

import dev.cofferdam.edge.mesh.MeshClient;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import org.apache.sshd.common.NamedFactory;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.common.channel.ChannelFactory;
import org.apache.sshd.common.cipher.BuiltinCiphers;
import org.apache.sshd.common.compression.BuiltinCompressions;
import org.apache.sshd.common.global.KeepAliveHandler;
import org.apache.sshd.common.io.nio2.Nio2ServiceFactoryFactory;
import org.apache.sshd.common.kex.BuiltinDHFactories;
import org.apache.sshd.common.mac.BuiltinMacs;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.session.SessionListener;
import org.apache.sshd.common.session.helpers.AbstractSession;
import org.apache.sshd.common.signature.BuiltinSignatures;
import org.apache.sshd.common.util.threads.SshThreadPoolExecutor;
import org.apache.sshd.core.CoreModuleProperties;
import org.apache.sshd.server.ServerBuilder;
import org.apache.sshd.server.SshServer;
import org.apache.sshd.server.auth.pubkey.UserAuthPublicKey;
import org.apache.sshd.server.auth.pubkey.UserAuthPublicKeyFactory;
import org.apache.sshd.server.channel.ChannelSessionFactory;
import org.apache.sshd.server.command.Command;
import org.apache.sshd.server.global.NoMoreSessionsHandler;
import org.apache.sshd.server.keyprovider.SimpleGeneratorHostKeyProvider;
import org.apache.sshd.server.session.ServerSession;
import org.apache.sshd.server.subsystem.SubsystemFactory;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The SSH server. It knows no keys: a connection gets in by what its client signed, as the
 * scheduler says, and what it does is done with what the scheduler gave for that. Until then it
 * costs no sandbox anything.
 */
public final class SshGateway implements AutoCloseable {
  /**
   * What a client may send on one channel that is not taken yet. All channels of all connections
   * have to fit into the edge's memory with it.
   */
  private static final long WINDOW = 64 << 10;

  /** Keys that a client offers one after the other, none of which may be the right one. */
  private static final int ATTEMPTS = 20;

  private static final Pattern SANDBOX = Pattern.compile("sb-[a-z2-7]{20}");
  private static final Logger log = LoggerFactory.getLogger(SshGateway.class);

  private final SshServer server;
  private final SshSettings settings;

  private SshGateway(SshServer server, SshSettings settings) {
    this.server = server;
    this.settings = settings;
  }

  /**
   * @param hostKey is made where there is none
   * @param threads makes a thread for each task
   */
  public static SshGateway start(
      SshSettings settings, Path hostKey, MeshClient mesh, Executor threads, MeterRegistry meters)
      throws IOException {
    SshServer server = SshServer.setUpDefaultServer();
    server.setHost(settings.listen().getHostString());
    server.setPort(settings.listen().getPort());
    SimpleGeneratorHostKeyProvider key = new SimpleGeneratorHostKeyProvider(hostKey);
    key.setAlgorithm("Ed25519");
    key.setOverwriteAllowed(false);
    server.setKeyPairProvider(key);
    if (!key.loadKeys(null).iterator().hasNext()) {
      throw new IOException(hostKey + " holds no key");
    }
    // A connection that waits, for the scheduler's word or a client's window, holds up no other.
    server.setIoServiceFactoryFactory(
        new Nio2ServiceFactoryFactory(() ->
            new SshThreadPoolExecutor(
                0,
                Integer.MAX_VALUE,
                1,
                TimeUnit.MINUTES,
                new SynchronousQueue<>(),
                Thread.ofVirtual().name("ssh-", 0).factory())));
    algorithms(server);
    limits(server, settings);
    callers(server, mesh, meters);
    channels(server, threads);
    connections(server, settings, threads, meters);
    server.start();
    return new SshGateway(server, settings);
  }

  private static void algorithms(SshServer server) {
    server.setSignatureFactories(List.of(BuiltinSignatures.ed25519));
    server.setKeyExchangeFactories(
        NamedFactory.setUpTransformedFactories(
            true,
            List.of(
                BuiltinDHFactories.mlkem768x25519,
                BuiltinDHFactories.sntrup761x25519,
                BuiltinDHFactories.sntrup761x25519_openssh,
                BuiltinDHFactories.curve25519,
                BuiltinDHFactories.curve25519_libssh),
            ServerBuilder.DH2KEX));
    server.setCipherFactories(
        List.of(
            BuiltinCiphers.cc20p1305_openssh, BuiltinCiphers.aes256gcm, BuiltinCiphers.aes128gcm));
    // The ciphers bring their own; one has to be named all the same.
    server.setMacFactories(List.of(BuiltinMacs.hmacsha256etm, BuiltinMacs.hmacsha512etm));
    server.setCompressionFactories(List.of(BuiltinCompressions.none));
  }

  private static void limits(SshServer server, SshSettings settings) {
    CoreModuleProperties.SERVER_IDENTIFICATION.set(server, "COFFERDAM");
    CoreModuleProperties.AUTH_TIMEOUT.set(server, settings.authTimeout());
    CoreModuleProperties.IDLE_TIMEOUT.set(server, settings.idle());
    CoreModuleProperties.NIO2_READ_TIMEOUT.set(server, settings.idle().plusSeconds(15));
    CoreModuleProperties.MAX_AUTH_REQUESTS.set(server, ATTEMPTS);
    CoreModuleProperties.MAX_CONCURRENT_CHANNELS.set(server, settings.channels());
    CoreModuleProperties.WINDOW_SIZE.set(server, WINDOW);
  }

  private static void callers(SshServer server, MeshClient mesh, MeterRegistry meters) {
    server.setPublickeyAuthenticator(
        (user, key, _) -> SANDBOX.matcher(user).matches() && SignatureAuth.mayDo(key));
    server.setUserAuthFactories(
        List.of(
            new UserAuthPublicKeyFactory(List.of(BuiltinSignatures.ed25519)) {
              @Override
              public UserAuthPublicKey createUserAuth(ServerSession session) {
                return new SignatureAuth(mesh, meters);
              }
            }));
  }

  private static void channels(SshServer server, Executor threads) {
    server.setGlobalRequestHandlers(
        List.of(KeepAliveHandler.INSTANCE, NoMoreSessionsHandler.INSTANCE));
    server.setChannelFactories(
        List.of(
            new ChannelSessionFactory() {
              @Override
              public Channel createChannel(Session session) {
                return new SessionChannel();
              }
            },
            new ChannelFactory() {
              @Override
              public String getName() {
                return "direct-tcpip";
              }

              @Override
              public Channel createChannel(Session session) throws IOException {
                return new PortChannel(login(session), threads);
              }
            }));
    server.setShellFactory(channel ->
        new GuestCommand(login(channel.getSession()), GuestProgram.of(Optional.empty()), threads));
    server.setCommandFactory((channel, command) ->
        new GuestCommand(
            login(channel.getSession()), GuestProgram.of(Optional.of(command)), threads));
    server.setSubsystemFactories(
        List.of(
            new SubsystemFactory() {
              @Override
              public String getName() {
                return "sftp";
              }

              @Override
              public Command createSubsystem(org.apache.sshd.server.channel.ChannelSession channel)
                  throws IOException {
                return new GuestCommand(login(channel.getSession()), GuestProgram.sftp(), threads);
              }
            }));
  }

  private static SshLogin login(Session session) throws IOException {
    SshLogin login = session.getAttribute(SshLogin.OF_SESSION);
    if (login == null) {
      throw new IOException("nobody has got in");
    }
    return login;
  }

  private static void connections(
      SshServer server, SshSettings settings, Executor threads, MeterRegistry meters) {
    AtomicInteger open = new AtomicInteger();
    Gauge.builder("cofferdam.edge.ssh.connections", open, AtomicInteger::get)
        .description("SSH connections, those that have not got in among them")
        .register(meters);
    server.addSessionListener(
        new SessionListener() {
          @Override
          public void sessionCreated(Session session) {
            if (open.incrementAndGet() > settings.connections()) {
              meters.counter("cofferdam.edge.ssh.turned.away").increment();
              var _ = session.close(true);
            }
          }

          @Override
          public void sessionException(Session session, Throwable failure) {
            log.atDebug().setMessage("ssh_connection_failed").setCause(failure).log();
          }

          @Override
          public void sessionClosed(Session session) {
            open.decrementAndGet();
            SshLogin login = session.getAttribute(SshLogin.OF_SESSION);
            if (login != null) {
              threads.execute(login::done);
            }
          }
        });
  }

  /** Where clients reach it. */
  public String host() {
    return settings.publicHost();
  }

  /** Where clients reach it. */
  public int publicPort() {
    return settings.publicPort() == 0 ? server.getPort() : settings.publicPort();
  }

  public int port() {
    return server.getPort();
  }

  @Override
  public void close() {
    try {
      for (AbstractSession session : server.getActiveSessions()) {
        session.disconnect(
            org.apache.sshd.common.SshConstants.SSH2_DISCONNECT_BY_APPLICATION, "the edge stops");
      }
      server.stop(true);
    } catch (IOException e) {
      log.atWarn().setMessage("ssh_not_stopped").setCause(e).log();
    }
  }
}
