package dev.cofferdam.node.drops;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.internal.v1.Drop;
import dev.cofferdam.internal.v1.DropReportServiceGrpc;
import dev.cofferdam.internal.v1.ReportDropsRequest;
import dev.cofferdam.internal.v1.ReportDropsResponse;
import dev.cofferdam.kit.client.Guard;
import dev.cofferdam.node.fake.Acts;
import dev.cofferdam.node.fake.FakeHelper;
import dev.cofferdam.node.fake.Kernel;
import dev.cofferdam.node.helper.SlotDrop;
import dev.cofferdam.testkit.InProcess;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class DropReporterTest {
  private static final Instant SINCE = Instant.ofEpochMilli(3);

  private final List<ReportDropsRequest> reports = new ArrayList<>();
  private boolean away;
  private InProcess broker;
  private final SimpleMeterRegistry meters = new SimpleMeterRegistry();
  private DropReporter reporter;

  @BeforeEach
  void open() {
    broker =
        InProcess.serve(
            new DropReportServiceGrpc.DropReportServiceImplBase() {
              @Override
              public void reportDrops(
                  ReportDropsRequest request, StreamObserver<ReportDropsResponse> response) {
                if (away) {
                  response.onError(Status.UNAVAILABLE.asRuntimeException());
                  return;
                }
                reports.add(request);
                response.onNext(ReportDropsResponse.getDefaultInstance());
                response.onCompleted();
              }
            });
    reporter =
        new DropReporter(
            new FakeHelper(
                new Kernel(),
                new Acts(),
                Path.of("/s"),
                start -> {
                  throw new IllegalStateException("nothing is started here");
                }),
            broker.channel(),
            new Guard(
                "broker", ErrorReason.ERROR_REASON_BROKER_UNAVAILABLE, new SimpleMeterRegistry()),
            "n1",
            (slot, at) ->
                slot == 2 || at.isBefore(SINCE) ? Optional.empty() : Optional.of(name(slot)),
            meters);
  }

  private static String name(int slot) {
    return slot == 1 ? "sb-a" : "sb-" + slot;
  }

  @Test
  void droppedPacketsAreCountedByProtocol() {
    reporter.accept(new SlotDrop(1, "udp", "8.8.8.8", 53, 7, SINCE.toEpochMilli()));
    reporter.accept(new SlotDrop(1, "udp", "8.8.8.9", 53, 2, SINCE.toEpochMilli()));
    assertThat(meters.get("cofferdam.node.drops").tag("protocol", "udp").counter().count())
        .isEqualTo(9);
  }

  @AfterEach
  void close() throws Exception {
    reporter.close();
    broker.close();
  }

  @Test
  void likeIsCountedWithLikeAndNamedByItsSandbox() {
    reporter.accept(new SlotDrop(1, "udp", "8.8.8.8", 53, 3, 2000));
    reporter.accept(new SlotDrop(1, "udp", "8.8.8.8", 53, 4, 1000));
    reporter.accept(new SlotDrop(1, "icmp", "8.8.8.8", 0, 1, 3000));
    reporter.accept(new SlotDrop(2, "udp", "8.8.8.8", 53, 9, 2000));
    reporter.report();
    reporter.report();

    assertThat(reports).hasSize(1);
    assertThat(reports.getFirst().getNode()).isEqualTo("n1");
    assertThat(reports.getFirst().getDropsList())
        .containsExactly(drop("udp", "8.8.8.8", 53, 7, 1000), drop("icmp", "8.8.8.8", 0, 1, 3000));
  }

  @Test
  void whatASlotDidBeforeItsSandboxIsNotTheSandboxsRecord() {
    reporter.accept(new SlotDrop(1, "udp", "8.8.8.8", 53, 3, 2));
    reporter.accept(new SlotDrop(1, "udp", "8.8.8.8", 53, 1, 3));
    reporter.report();
    assertThat(reports.getFirst().getDropsList()).containsExactly(drop("udp", "8.8.8.8", 53, 1, 3));
  }

  @Test
  void aGuestThatInventsKindsWithoutEndFillsOneLine() {
    for (int port = 1; port <= DropReporter.MAX_KINDS + 100; port++) {
      reporter.accept(new SlotDrop(1, "tcp", "192.0.2.1", port, 1, 5));
    }
    reporter.report();
    List<Drop> drops = reports.getFirst().getDropsList();
    assertThat(drops).hasSize(DropReporter.MAX_KINDS + 1);
    assertThat(drops.getLast()).isEqualTo(drop("tcp", "", 0, 100, 5));
    assertThat(drops.stream().mapToLong(Drop::getCount).sum())
        .isEqualTo(DropReporter.MAX_KINDS + 100);
  }

  @Test
  void noReportIsLongerThanTheBrokerTakes() {
    for (int slot = 1000; slot < 3100; slot++) {
      reporter.accept(new SlotDrop(slot, "udp", "203.0.113.10", 9, 1, 5));
    }
    reporter.report();
    assertThat(reports)
        .hasSize(3)
        .allSatisfy(one -> assertThat(one.getDropsCount()).isLessThanOrEqualTo(1024));
    assertThat(reports.stream().mapToInt(ReportDropsRequest::getDropsCount).sum()).isEqualTo(2100);
  }

  @Test
  void whatTheBrokerDidNotTakeIsReportedLater() {
    away = true;
    reporter.accept(new SlotDrop(1, "udp", "8.8.8.8", 53, 3, 2000));
    reporter.report();
    away = false;
    reporter.accept(new SlotDrop(1, "udp", "8.8.8.8", 53, 1, 9000));
    reporter.report();
    assertThat(reports).hasSize(1);
    assertThat(reports.getFirst().getDropsList())
        .containsExactly(drop("udp", "8.8.8.8", 53, 4, 2000));
  }

  private static Drop drop(String protocol, String destination, int port, long count, long first) {
    return Drop.newBuilder()
        .setSandbox("sb-a")
        .setProtocol(protocol)
        .setDestination(destination)
        .setPort(port)
        .setCount(count)
        .setFirstTimeMs(first)
        .build();
  }
}
