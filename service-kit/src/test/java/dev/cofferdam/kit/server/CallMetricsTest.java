package dev.cofferdam.kit.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.testkit.InProcess;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.FileInfo;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.ReadFileRequest;
import dev.cofferdam.v1.ReadFileResponse;
import dev.cofferdam.v1.StatFileRequest;
import io.grpc.Context;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class CallMetricsTest {
  private static final String SERVICE = "cofferdam.v1.FileService";

  private final PrometheusMeterRegistry meters =
      new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
  private final CountDownLatch cancelled = new CountDownLatch(1);
  private final InProcess served =
      InProcess.serve(
          List.of(new RefusalInterceptor(), new CallMetrics(meters, "here")), new Files());

  private final class Files extends FileServiceGrpc.FileServiceImplBase {
    @Override
    public void statFile(StatFileRequest request, StreamObserver<FileInfo> answer) {
      if (request.getPath().isEmpty()) {
        throw new Refusal(ErrorReason.ERROR_REASON_PATH_INVALID, "path is ''");
      }
      answer.onNext(FileInfo.getDefaultInstance());
      answer.onCompleted();
    }

    /** One answer, and never an end. */
    @Override
    public void readFile(ReadFileRequest request, StreamObserver<ReadFileResponse> answer) {
      ((ServerCallStreamObserver<ReadFileResponse>) answer)
          .setOnCancelHandler(cancelled::countDown);
      answer.onNext(ReadFileResponse.getDefaultInstance());
    }
  }

  @AfterEach
  void close() {
    served.close();
  }

  @Test
  void eachCallIsTimedByHowItEnded() {
    var files = FileServiceGrpc.newBlockingStub(served.channel());
    var _ = files.statFile(StatFileRequest.newBuilder().setPath("/").build());
    assertThatThrownBy(() -> files.statFile(StatFileRequest.getDefaultInstance()))
        .isInstanceOf(StatusRuntimeException.class);
    assertThat(meters.scrape())
        .contains(ended("StatFile", "OK", "none"))
        .contains(ended("StatFile", "INVALID_ARGUMENT", "PATH_INVALID"))
        .contains("cofferdam_rpc_server_seconds_bucket{")
        .contains(active(0));
  }

  @Test
  void aStreamCountsAsUnderWayUntilItsCallerLeaves() throws Exception {
    Context.CancellableContext caller = Context.current().withCancellation();
    caller.run(() -> {
      var answers =
          FileServiceGrpc.newBlockingStub(served.channel())
              .readFile(ReadFileRequest.getDefaultInstance());
      var _ = answers.next();
    });
    assertThat(meters.scrape()).contains(active(1));
    caller.cancel(null);
    assertThat(cancelled.await(30, TimeUnit.SECONDS)).isTrue();
    assertThat(meters.scrape())
        .contains(active(0))
        .contains(ended("ReadFile", "CANCELLED", "none"));
  }

  private static String ended(String method, String code, String reason) {
    return "cofferdam_rpc_server_seconds_count{code=\"%s\",listener=\"here\",method=\"%s/%s\",reason=\"%s\"} 1"
        .formatted(code, SERVICE, method, reason);
  }

  private static String active(int calls) {
    return "cofferdam_rpc_server_active{listener=\"here\",rpc_service=\"%s\"} %d.0"
        .formatted(SERVICE, calls);
  }
}
