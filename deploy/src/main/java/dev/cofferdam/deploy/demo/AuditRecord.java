package dev.cofferdam.deploy.demo;

import dev.cofferdam.cli.ClientSettings;
import dev.cofferdam.cli.Connections;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditServiceGrpc;
import dev.cofferdam.v1.ListAuditEventsRequest;
import dev.cofferdam.v1.ListAuditEventsResponse;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/** The audit record of one sandbox, as its tenant reads it. */
record AuditRecord(ClientSettings settings, String sandbox) {
  List<AuditEvent> events() throws IOException {
    List<AuditEvent> events = new ArrayList<>();
    try (Connections connections = Connections.overTls(settings)) {
      var stub = AuditServiceGrpc.newBlockingStub(connections.audit());
      String cursor = "";
      do {
        ListAuditEventsResponse page =
            stub.withDeadlineAfter(20, TimeUnit.SECONDS)
                .listAuditEvents(
                    ListAuditEventsRequest.newBuilder()
                        .setPageSize(1000)
                        .setSandbox(sandbox)
                        .setCursor(cursor)
                        .build());
        events.addAll(page.getEventsList());
        cursor = page.getNextCursor();
      } while (!cursor.isEmpty());
    } catch (StatusRuntimeException e) {
      throw new IOException("the audit record cannot be read: " + e.getStatus(), e);
    }
    return events;
  }

  /** The first event of the kind; gateways and nodes report in their own time. */
  AuditEvent await(String what, Predicate<AuditEvent> kind) throws IOException, ClaimFailed {
    boolean found = Machine.soon(() -> events().stream().anyMatch(kind));
    Optional<AuditEvent> event =
        found ? events().stream().filter(kind).findFirst() : Optional.empty();
    return event.orElseThrow(() -> new ClaimFailed("no event of " + what));
  }
}
