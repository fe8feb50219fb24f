package dev.cofferdam.cli;

import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditServiceGrpc;
import dev.cofferdam.v1.ListAuditEventsRequest;
import dev.cofferdam.v1.ListAuditEventsResponse;
import dev.cofferdam.v1.SandboxEvent;
import dev.cofferdam.v1.SandboxServiceGrpc;
import dev.cofferdam.v1.Verdict;
import dev.cofferdam.v1.WatchAuditEventsRequest;
import dev.cofferdam.v1.WatchSandboxEventsRequest;
import io.grpc.Channel;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionService;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "events",
    mixinStandardHelpOptions = true,
    description = "What sandboxes did: their lives, what left them and what was not let out.")
final class EventsCommand implements Callable<Integer> {
  private static final long RECONNECT_NANOS = TimeUnit.MILLISECONDS.toNanos(500);

  private final Context context;

  @Option(names = "--follow", description = "Stay and print new events as they come.")
  private boolean follow;

  @Option(names = "--sandbox", paramLabel = "ID", description = "Only of this one.")
  private String sandbox = "";

  @Option(names = "--denied", description = "Only what was not let out.")
  private boolean denied;

  EventsCommand(Context context) {
    this.context = context;
  }

  @Override
  public Integer call() throws StatusException, InterruptedException, ExecutionException {
    try (Connections connections = context.connections().get()) {
      Channel api = connections.api();
      Channel audit = connections.audit();
      if (!follow) {
        List<EventLine> lines = new ArrayList<>(denied ? List.of() : present(api));
        lines.addAll(recorded(audit));
        lines.stream().sorted().forEach(this::print);
        return 0;
      }
      try (ExecutorService watchers = Executors.newVirtualThreadPerTaskExecutor()) {
        CompletionService<Integer> ends = new ExecutorCompletionService<>(watchers);
        if (!denied) {
          var _ = ends.submit(() -> watch(cursor -> lives(api, cursor)));
        }
        var _ = ends.submit(() -> watch(cursor -> egress(audit, cursor)));
        try {
          // Neither ends by itself, so the first that does has failed.
          return ends.take().get();
        } catch (ExecutionException e) {
          if (e.getCause() instanceof StatusException failure) {
            throw failure;
          }
          throw e;
        } finally {
          watchers.shutdownNow();
        }
      }
    }
  }

  private List<EventLine> present(Channel api) throws StatusException, InterruptedException {
    List<EventLine> lines = new ArrayList<>();
    BlockingClientCall<?, SandboxEvent> call = lives(api, "", false);
    for (SandboxEvent event = call.read(); event != null; event = call.read()) {
      lines.add(EventLine.of(event));
    }
    return lines;
  }

  private List<EventLine> recorded(Channel audit) throws StatusException {
    List<EventLine> lines = new ArrayList<>();
    var stub = AuditServiceGrpc.newBlockingV2Stub(audit);
    String cursor = "";
    do {
      ListAuditEventsResponse page =
          stub.withDeadlineAfter(ExecOptions.deadlineSeconds(), TimeUnit.SECONDS)
              .listAuditEvents(
                  ListAuditEventsRequest.newBuilder()
                      .setPageSize(1000)
                      .setSandbox(sandbox)
                      .setVerdict(verdict())
                      .setCursor(cursor)
                      .build());
      page.getEventsList().stream().map(EventLine::of).forEach(lines::add);
      cursor = page.getNextCursor();
    } while (!cursor.isEmpty());
    return lines;
  }

  /** One stream of events from a cursor on, each told to the printer; returns the last cursor. */
  private interface Stream {
    String read(String cursor) throws StatusException, InterruptedException;
  }

  /** Resumes where it broke, until interrupted. */
  private int watch(Stream stream) throws StatusException, InterruptedException {
    String cursor = "";
    while (!Thread.currentThread().isInterrupted()) {
      cursor = stream.read(cursor);
      LockSupport.parkNanos(RECONNECT_NANOS);
    }
    return 0;
  }

  private String lives(Channel api, String from) throws StatusException, InterruptedException {
    BlockingClientCall<?, SandboxEvent> call = lives(api, from, true);
    String cursor = from;
    try {
      for (SandboxEvent event = call.read(); event != null; event = call.read()) {
        print(EventLine.of(event));
        cursor = event.getCursor();
      }
    } catch (StatusException e) {
      throwUnlessUnavailable(e);
    }
    return cursor;
  }

  private BlockingClientCall<?, SandboxEvent> lives(Channel api, String from, boolean stay) {
    return SandboxServiceGrpc.newBlockingV2Stub(api)
        .watchSandboxEvents(
            WatchSandboxEventsRequest.newBuilder()
                .setCursor(from)
                .setSandbox(sandbox)
                .setFollow(stay)
                .build());
  }

  private String egress(Channel audit, String from) throws StatusException, InterruptedException {
    BlockingClientCall<?, AuditEvent> call =
        AuditServiceGrpc.newBlockingV2Stub(audit)
            .watchAuditEvents(
                WatchAuditEventsRequest.newBuilder()
                    .setCursor(from)
                    .setSandbox(sandbox)
                    .setVerdict(verdict())
                    .build());
    String cursor = from;
    try {
      for (AuditEvent event = call.read(); event != null; event = call.read()) {
        print(EventLine.of(event));
        cursor = event.getCursor();
      }
    } catch (StatusException e) {
      throwUnlessUnavailable(e);
    }
    return cursor;
  }

  private Verdict verdict() {
    return denied ? Verdict.VERDICT_DENIED : Verdict.VERDICT_UNSPECIFIED;
  }

  private static void throwUnlessUnavailable(StatusException failure) throws StatusException {
    if (failure.getStatus().getCode() != Status.Code.UNAVAILABLE) {
      throw failure;
    }
  }

  private void print(EventLine line) {
    context.out().println(line.text());
    context.out().flush();
  }
}
