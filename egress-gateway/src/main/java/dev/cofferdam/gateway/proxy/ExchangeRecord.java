package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.data.DataGuard;
import dev.cofferdam.gateway.placeholder.Candidates;
import dev.cofferdam.gateway.placeholder.RequestTarget;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import java.util.List;
import java.util.Optional;

/** What is told of an exchange once it is over: its event, and how long it took. */
final class ExchangeRecord {
  private final Surroundings surroundings;
  private final GuestConnection connection;
  private final RequestHead head;
  private final String id;
  private final String tenant;
  private final long began = System.nanoTime();
  private Optional<DataGuard> data = Optional.empty();

  /**
   * @param tenant under whose policy it began
   */
  ExchangeRecord(
      Surroundings surroundings,
      GuestConnection connection,
      RequestHead head,
      String id,
      String tenant) {
    this.surroundings = surroundings;
    this.connection = connection;
    this.head = head;
    this.id = id;
    this.tenant = tenant;
  }

  /** What data rules find is told with it, and a path that holds some of it is not. */
  void watch(DataGuard guard) {
    data = Optional.of(guard);
  }

  /** Whether the path may not be told to others. */
  boolean hidesPath() {
    return data.isPresent() && data.get().inPath();
  }

  /** As it may be told to others. */
  String shownPath(String path) {
    return hidesPath() ? "[data]" : path;
  }

  /** The same for a person who may say yes to others of this path, which no other then has. */
  String askedPath(String path) {
    return hidesPath() ? "[data of %s]".formatted(id) : path;
  }

  /**
   * The beginning of its event.
   *
   * @param host as judged; empty where it was not
   */
  AuditEvent.Builder event(Verdict verdict, EgressReason reason, Optional<Host.Name> host) {
    return connection
        .event(connection.tls() ? "https" : "http", verdict, reason)
        .setRequest(id)
        .setHost(host.map(Host.Name::value).orElseGet(this::authority))
        .setMethod(head.method())
        .setPath(shownPath(RequestTarget.shownPath(head.path())))
        .addAllData(data.map(DataGuard::found).orElse(List.of()));
  }

  private String authority() {
    String text = head.authority();
    return Candidates.in(text).isEmpty() ? text : "";
  }

  void tell(AuditEvent.Builder event) {
    ExchangeMeters meters = surroundings.exchanges();
    data.ifPresent(guard -> meters.found(guard.effects()));
    surroundings.decisions().record(tenant, event);
    meters.ended(
        event.getVerdict(), System.nanoTime() - began, event.getBytesOut(), event.getBytesIn());
  }
}
