package dev.cofferdam.edge.ssh;

import com.google.protobuf.ByteString;
import dev.cofferdam.edge.process.Stdin;
import dev.cofferdam.kit.client.TwoWayCall;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessExited;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.ProcessStarted;
import dev.cofferdam.v1.SignalProcessRequest;
import dev.cofferdam.v1.StartProcessRequest;
import dev.cofferdam.v1.TerminalSize;
import io.grpc.Status;
import io.grpc.StatusException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.server.Environment;
import org.apache.sshd.server.ExitCallback;
import org.apache.sshd.server.Signal;
import org.apache.sshd.server.channel.ChannelSession;
import org.apache.sshd.server.command.Command;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A process in the sandbox, as long as its channel. The streams are SSHD's: reading widens the
 * client's window, and writing waits for it, so neither way more is held than a window.
 */
final class GuestCommand implements Command {
  private static final int CHUNK = 64 << 10;
  private static final int BY_SIGNAL = 128;

  /** As ssh(1) has it for what is wrong on the way. */
  private static final int BROKEN = 255;

  /** As shells have it. */
  private static final int NOT_FOUND = 127;

  private static final int HANG_UP = 1;
  private static final int MOST_CELLS = 10_000;

  private static final Logger log = LoggerFactory.getLogger(GuestCommand.class);

  private final SshLogin login;
  private final List<String> arguments;
  private final Executor threads;
  private final AtomicBoolean gone = new AtomicBoolean();
  private InputStream in = InputStream.nullInputStream();
  private OutputStream out = OutputStream.nullOutputStream();
  private OutputStream err = OutputStream.nullOutputStream();
  private @Nullable ExitCallback callback;
  private volatile @Nullable TwoWayCall<StartProcessRequest, ProcessEvent> call;
  private volatile @Nullable ProcessStarted process;

  GuestCommand(SshLogin login, List<String> arguments, Executor threads) {
    this.login = login;
    this.arguments = List.copyOf(arguments);
    this.threads = threads;
  }

  @Override
  public void setInputStream(InputStream stream) {
    in = stream;
  }

  @Override
  public void setOutputStream(OutputStream stream) {
    out = stream;
  }

  @Override
  public void setErrorStream(OutputStream stream) {
    err = stream;
  }

  @Override
  public void setExitCallback(ExitCallback exitCallback) {
    callback = exitCallback;
  }

  @Override
  public void start(ChannelSession channel, Environment environment) {
    SessionChannel session = (SessionChannel) channel;
    ProcessSpec.Builder spec =
        ProcessSpec.newBuilder().addAllArgv(arguments).putAllEnv(session.variables());
    if (session.hasTerminal()) {
      spec.setTerminal(size(environment));
      environment.addSignalListener((_, _) -> resized(environment), Signal.WINCH);
    }
    environment.addSignalListener(
        this::signalled, Signal.SIGNALS.stream().filter(signal -> signal != Signal.WINCH).toList());
    login.begun();
    threads.execute(() -> {
      try {
        exit(run(spec.build()));
      } finally {
        login.done();
      }
    });
  }

  /** The status that it ends with. */
  private int run(ProcessSpec spec) {
    TwoWayCall<StartProcessRequest, ProcessEvent> streams = login.tenant().startProcess();
    call = streams;
    try {
      var _ =
          streams.write(
              StartProcessRequest.newBuilder().setSandbox(login.sandbox()).setSpec(spec).build());
      process =
          streams
              .read()
              .filter(ProcessEvent::hasStarted)
              .orElseThrow(() ->
                  Status.UNAVAILABLE.withDescription("the process did not start").asException())
              .getStarted();
      if (gone.get()) {
        hangUp();
        return BROKEN;
      }
      threads.execute(() -> feed(streams));
      return follow(streams);
    } catch (StatusException e) {
      return told(e);
    } catch (IOException e) {
      // The client takes nothing any more.
      hangUp();
      return BROKEN;
    } catch (InterruptedException e) {
      // The edge ends.
      Thread.currentThread().interrupt();
      return BROKEN;
    } finally {
      streams.cancel("done");
    }
  }

  private int follow(TwoWayCall<StartProcessRequest, ProcessEvent> streams)
      throws StatusException, InterruptedException, IOException {
    for (Optional<ProcessEvent> next = streams.read(); next.isPresent(); next = streams.read()) {
      ProcessEvent event = next.get();
      switch (event.getEventCase()) {
        case STDOUT -> write(out, event.getStdout().getData());
        case STDERR -> write(err, event.getStderr().getData());
        case EXITED -> {
          return status(event.getExited());
        }
        case STARTED, EVENT_NOT_SET -> {
          // Nothing that could be shown.
        }
      }
    }
    throw Status.UNAVAILABLE.withDescription("the stream ended before the process").asException();
  }

  private static void write(OutputStream to, ByteString data) throws IOException {
    data.writeTo(to);
    to.flush();
  }

  private static int status(ProcessExited exited) {
    return exited.getSignal() == 0 ? exited.getExitCode() : BY_SIGNAL + exited.getSignal();
  }

  private int told(StatusException e) {
    String description = e.getStatus().getDescription();
    try {
      err.write(
          "cofferdam: %s\r\n"
              .formatted(description == null ? e.getStatus().getCode() : description)
              .getBytes(StandardCharsets.UTF_8));
      err.flush();
    } catch (IOException gone) {
      // Nobody is left to be told.
    }
    return e.getStatus().getCode() == Status.Code.NOT_FOUND ? NOT_FOUND : BROKEN;
  }

  private void feed(TwoWayCall<StartProcessRequest, ProcessEvent> streams) {
    byte[] chunk = new byte[CHUNK];
    try {
      for (int length = in.read(chunk); length >= 0; length = in.read(chunk)) {
        if (!streams.write(
            StartProcessRequest.newBuilder()
                .setStdin(ByteString.copyFrom(chunk, 0, length))
                .build())) {
          return;
        }
      }
      new Stdin(streams).close();
    } catch (IOException | StatusException e) {
      // The channel or the process has ended, which is told otherwise.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void resized(Environment environment) {
    TwoWayCall<StartProcessRequest, ProcessEvent> streams = call;
    if (streams == null) {
      return;
    }
    threads.execute(() -> {
      try {
        var _ =
            streams.write(StartProcessRequest.newBuilder().setResize(size(environment)).build());
      } catch (StatusException e) {
        // It has ended.
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    });
  }

  private static TerminalSize size(Environment environment) {
    Map<String, String> said = environment.getEnv();
    return TerminalSize.newBuilder()
        .setRows(cells(said.get(Environment.ENV_LINES), 24))
        .setColumns(cells(said.get(Environment.ENV_COLUMNS), 80))
        .build();
  }

  private static int cells(@Nullable String text, int otherwise) {
    if (text == null || !text.matches("[0-9]{1,9}")) {
      return otherwise;
    }
    int cells = Integer.parseInt(text);
    return cells == 0 ? otherwise : Math.min(cells, MOST_CELLS);
  }

  private void signalled(Channel channel, Signal signal) {
    threads.execute(() -> send(signal.getNumeric()));
  }

  private void send(int signal) {
    ProcessStarted started = process;
    if (started == null) {
      return;
    }
    try {
      var _ =
          login
              .tenant()
              .processes()
              .signalProcess(
                  SignalProcessRequest.newBuilder()
                      .setSandbox(login.sandbox())
                      .setProcess(started.getProcess())
                      .setSignal(signal)
                      .build());
    } catch (StatusException e) {
      log.atDebug().setMessage("ssh_signal_not_sent").addKeyValue("why", e.getMessage()).log();
    }
  }

  private void hangUp() {
    send(HANG_UP);
  }

  private void exit(int status) {
    ExitCallback told = callback;
    if (told != null) {
      told.onExit(status);
    }
  }

  /** The channel is gone, perhaps because the process is. */
  @Override
  public void destroy(ChannelSession channel) {
    if (!gone.compareAndSet(false, true)) {
      return;
    }
    login.begun();
    threads.execute(() -> {
      try {
        hangUp();
      } finally {
        TwoWayCall<StartProcessRequest, ProcessEvent> streams = call;
        if (streams != null) {
          streams.cancel("the channel is gone");
        }
        login.done();
      }
    });
  }
}
