package dev.cofferdam.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.protobuf.services.HealthStatusManager;
import java.util.List;
import org.junit.jupiter.api.Test;

class InProcessTest {
  @Test
  void callsReachTheService() {
    HealthStatusManager health = new HealthStatusManager();
    health.setStatus("there", ServingStatus.NOT_SERVING);
    try (InProcess served = InProcess.serve(health.getHealthService())) {
      assertThat(
              HealthGrpc.newBlockingStub(served.channel())
                  .check(HealthCheckRequest.newBuilder().setService("there").build())
                  .getStatus())
          .isEqualTo(ServingStatus.NOT_SERVING);
    }
  }

  @Test
  void interceptorsSeeTheCall() {
    ServerInterceptor refuses =
        new ServerInterceptor() {
          @Override
          public <Q, A> ServerCall.Listener<Q> interceptCall(
              ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
            call.close(Status.PERMISSION_DENIED, new Metadata());
            return new ServerCall.Listener<>() {};
          }
        };
    try (InProcess served =
        InProcess.serve(List.of(refuses), new HealthStatusManager().getHealthService())) {
      assertThatThrownBy(() ->
              HealthGrpc.newBlockingStub(served.channel())
                  .check(HealthCheckRequest.getDefaultInstance()))
          .isInstanceOfSatisfying(
              StatusRuntimeException.class,
              e -> assertThat(e.getStatus().getCode()).isEqualTo(Status.Code.PERMISSION_DENIED));
    }
  }
}
