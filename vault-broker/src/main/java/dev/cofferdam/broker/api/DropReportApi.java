package dev.cofferdam.broker.api;

import static dev.cofferdam.broker.api.Answers.answer;

import dev.cofferdam.broker.audit.Reports;
import dev.cofferdam.internal.v1.DropReportServiceGrpc;
import dev.cofferdam.internal.v1.ReportDropsRequest;
import dev.cofferdam.internal.v1.ReportDropsResponse;
import dev.cofferdam.kit.call.Callers;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import io.grpc.stub.StreamObserver;
import java.time.Instant;

/** {@code cofferdam.internal.v1.DropReportService}, for nodes about themselves. */
final class DropReportApi extends DropReportServiceGrpc.DropReportServiceImplBase {
  private static final int MAX_DROPS = 1024;

  private final Reports reports;

  DropReportApi(Reports reports) {
    this.reports = reports;
  }

  @Override
  public void reportDrops(
      ReportDropsRequest request, StreamObserver<ReportDropsResponse> observer) {
    String node = Callers.peer().identity().instance();
    if (!request.getNode().equals(node)) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_PEER_NOT_ALLOWED,
          "node %s reports for itself alone".formatted(node));
    }
    if (request.getDropsCount() > MAX_DROPS) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_MESSAGE_TOO_LARGE,
          "%d drops, expected at most %d".formatted(request.getDropsCount(), MAX_DROPS));
    }
    reports.drops(
        node,
        request.getDropsList().stream()
            .map(drop ->
                new Reports.Drop(
                    drop.getSandbox(),
                    drop.getProtocol(),
                    drop.getDestination(),
                    drop.getPort(),
                    drop.getCount(),
                    Instant.ofEpochMilli(drop.getFirstTimeMs())))
            .toList());
    answer(observer, ReportDropsResponse.getDefaultInstance());
  }
}
