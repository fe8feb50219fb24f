package dev.cofferdam.scheduler;

import static dev.cofferdam.scheduler.Refused.assertRefused;
import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.SandboxEvent;
import dev.cofferdam.v1.SandboxEventType;
import dev.cofferdam.v1.WatchSandboxEventsRequest;
import io.grpc.Context;
import io.grpc.Status;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Lifecycle events as a tenant watches them. */
class WatchTest extends MeshTest {
  private List<SandboxEvent> all(WatchSandboxEventsRequest request) {
    List<SandboxEvent> events = new ArrayList<>();
    acme.watchSandboxEvents(request).forEachRemaining(events::add);
    return events;
  }

  @Test
  void aWatchGoesOnFromItsCursorAndFollows() throws Exception {
    String first = create().getId();
    List<SandboxEvent> present = all(WatchSandboxEventsRequest.getDefaultInstance());
    assertThat(present)
        .extracting(SandboxEvent::getType)
        .containsExactly(
            SandboxEventType.SANDBOX_EVENT_TYPE_CREATED,
            SandboxEventType.SANDBOX_EVENT_TYPE_RUNNING);
    try (Context.CancellableContext call = Context.current().withCancellation()) {
      Iterator<SandboxEvent> following =
          call.call(() ->
              acme.watchSandboxEvents(
                  WatchSandboxEventsRequest.newBuilder()
                      .setCursor(present.getFirst().getCursor())
                      .setFollow(true)
                      .build()));
      assertThat(following.next()).isEqualTo(present.getLast());
      // Another tenant's events do not show.
      var _ = create(mesh.sandboxes(mesh.token("other", Mesh.ALL_SCOPES)));
      String second = create().getId();
      assertThat(following.next().getSandbox()).isEqualTo(second);
      assertThat(following.next().getType()).isEqualTo(SandboxEventType.SANDBOX_EVENT_TYPE_RUNNING);
      var _ = acme.deleteSandbox(delete(first));
      SandboxEvent ended = following.next();
      assertThat(ended.getSandbox()).isEqualTo(first);
      assertThat(ended.getType()).isEqualTo(SandboxEventType.SANDBOX_EVENT_TYPE_ENDED);
      assertThat(
              all(
                  WatchSandboxEventsRequest.newBuilder()
                      .setSandbox(first)
                      .setCursor(present.getLast().getCursor())
                      .build()))
          .containsExactly(ended);
    }
  }

  @Test
  void whatIsNoCursorOrNoSandboxOfOnesOwnIsRefused() {
    String id = create().getId();
    String cursor = all(WatchSandboxEventsRequest.getDefaultInstance()).getLast().getCursor();
    var other = mesh.sandboxes(mesh.token("other", Mesh.ALL_SCOPES));
    for (String wrong : List.of("nonsense", "AAAA", cursor.substring(1))) {
      assertRefused(
          () -> all(WatchSandboxEventsRequest.newBuilder().setCursor(wrong).build()),
          Status.Code.INVALID_ARGUMENT,
          ErrorReason.ERROR_REASON_CURSOR_INVALID);
    }
    assertRefused(
        () ->
            other
                .watchSandboxEvents(
                    WatchSandboxEventsRequest.newBuilder().setCursor(cursor).build())
                .hasNext(),
        Status.Code.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_CURSOR_INVALID);
    assertRefused(
        () ->
            other
                .watchSandboxEvents(WatchSandboxEventsRequest.newBuilder().setSandbox(id).build())
                .hasNext(),
        Status.Code.NOT_FOUND,
        ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND);
  }
}
