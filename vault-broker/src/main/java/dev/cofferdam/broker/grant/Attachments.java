package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.ca.CertificateAuthority;
import dev.cofferdam.broker.ca.LineageRoot;
import dev.cofferdam.broker.grant.Places.Place;
import dev.cofferdam.broker.policy.Policies;
import dev.cofferdam.broker.policy.Policy;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Signal;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Which sandbox is in which slot of which gateway. The gateway's name comes from its certificate;
 * everything that it is told is read from the database, so any broker can tell it.
 */
public final class Attachments {
  /** How long to go without looking while another broker may have changed something. */
  private static final Duration LOOK = Duration.ofMillis(200);

  private final Database database;
  private final AuditLog audit;
  private final CertificateAuthority authority;
  private final Signal news;
  private final InstantSource clock;

  /**
   * @param news raised with every change and acknowledgement of this broker
   */
  public Attachments(
      Database database,
      AuditLog audit,
      CertificateAuthority authority,
      Signal news,
      InstantSource clock) {
    this.database = database;
    this.audit = audit;
    this.authority = authority;
    this.news = news;
    this.clock = clock;
  }

  /** Everything attached at a gateway, and the sequence up to which it is told. */
  public record Snapshot(long sequence, List<Change.Attached> attached) {
    public Snapshot {
      attached = List.copyOf(attached);
    }
  }

  public Signal news() {
    return news;
  }

  /** Ends an attachment at this gateway. Idempotent; of a later epoch it is left alone. */
  public void detach(String gateway, String id, String node, long epoch) {
    database.transact(tx -> {
      Optional<Sandbox> sandbox = Sandbox.lock(tx, id);
      List<Place> places =
          Places.live(tx, id).stream()
              .filter(place -> place.gateway().equals(gateway))
              .filter(place -> place.node().equals(node) && place.epoch() <= epoch)
              .toList();
      if (sandbox.isPresent() && !places.isEmpty()) {
        var _ = Places.detached(tx, places);
        audit.append(
            tx,
            List.of(
                Records.change(
                    clock.instant(),
                    sandbox.get().tenant(),
                    id,
                    "detached from node %s at gateway %s".formatted(node, gateway))));
        tx.afterCommit(news::raise);
      }
      return id;
    });
  }

  /** An issuer for a sandbox attached here, for the revision that is in force. */
  public byte[] issueCertificate(String gateway, String id, long revision, byte[] request) {
    record Ground(LineageRoot root, Policy policy) {}

    Ground ground =
        database.transact(tx -> {
          Sandbox sandbox =
              Sandbox.read(tx, id)
                  .filter(found -> !found.revoked())
                  .orElseThrow(() -> notAttached(id, gateway));
          if (Places.live(tx, id).stream().noneMatch(place -> place.gateway().equals(gateway))) {
            throw notAttached(id, gateway);
          }
          if (sandbox.policyRevision() != revision) {
            throw new Refusal(
                ErrorReason.ERROR_REASON_ETAG_MISMATCH,
                "sandbox %s has the policy revision %d, not %d"
                    .formatted(id, sandbox.policyRevision(), revision));
          }
          return new Ground(Lineages.read(tx, sandbox.lineage()), Policies.of(sandbox.policy()));
        });
    return ground.policy().learns()
        ? authority.issueForAnyName(ground.root(), request)
        : authority.issue(ground.root(), ground.policy().intercepted(), request);
  }

  /**
   * The beginning of a gateway's stream.
   *
   * @param process what an earlier process acknowledged says nothing of this one
   * @param proxy where programs reach its explicit proxy, if it has one
   */
  public Snapshot begin(String gateway, String process, Optional<Sessions.Proxy> proxy) {
    return database.transact(tx -> {
      long sequence =
          tx.only(
              "insert into gateway as g (instance, process, proxy_address, proxy_tls)"
                  + " values (?, ?, ?, ?) on conflict (instance)"
                  + " do update set process = excluded.process, acknowledged ="
                  + " case when g.process = excluded.process then g.acknowledged else 0 end,"
                  + " proxy_address = excluded.proxy_address, proxy_tls = excluded.proxy_tls"
                  + " returning sequence",
              row -> row.getLong(1),
              gateway,
              process,
              proxy.map(Sessions.Proxy::address).orElse(""),
              proxy.map(Sessions.Proxy::tls).orElse(false));
      List<Change.Attached> attached = new ArrayList<>();
      Views.of(tx, Places.liveAt(tx, gateway))
          .forEach((place, view) -> attached.add(new Change.Attached(place.sequence(), view)));
      return new Snapshot(sequence, attached);
    });
  }

  /** What changed at a gateway after a sequence, in order. */
  public List<Change> changes(String gateway, long after) {
    return database.look(tx -> {
      List<Place> places = Places.changedAfter(tx, gateway, after);
      Map<Place, Attachment> views =
          Views.of(tx, places.stream().filter(place -> !place.detached()).toList());
      return places.stream().map(place -> change(place, views.get(place), after)).toList();
    });
  }

  /** Notes what a gateway has in force. Of another process than the present one it is nothing. */
  public void acknowledge(String gateway, String process, long sequence) {
    var _ =
        database.transact(tx -> {
          tx.afterCommit(news::raise);
          return tx.update(
              "update gateway set acknowledged = greatest(acknowledged, least(?, sequence))"
                  + " where instance = ? and process = ?",
              sequence,
              gateway,
              process);
        });
  }

  /**
   * Waits until each gateway acknowledged its sequence or has the sandbox no more.
   *
   * @return those that did neither in time
   */
  public List<String> awaitAcknowledged(
      String sandbox, Map<String, Long> sequences, Duration atMost) throws InterruptedException {
    long deadline = System.nanoTime() + atMost.toNanos();
    while (true) {
      long seen = news.seen();
      List<String> missing = missing(sandbox, sequences);
      Duration left = Duration.ofNanos(deadline - System.nanoTime());
      if (missing.isEmpty() || left.isNegative()) {
        return missing;
      }
      news.await(seen, Stream.of(left, LOOK).min(Comparator.naturalOrder()).orElse(LOOK));
    }
  }

  private List<String> missing(String sandbox, Map<String, Long> sequences) {
    return database.transact(tx -> {
      List<String> missing = new ArrayList<>();
      for (Map.Entry<String, Long> wanted : sequences.entrySet()) {
        missing.addAll(
            tx.list(
                "select g.instance from gateway g join attachment a on a.gateway = g.instance"
                    + " where g.instance = ? and a.sandbox = ? and not a.detached"
                    + " and g.acknowledged < ?",
                row -> row.getString(1),
                wanted.getKey(),
                sandbox,
                wanted.getValue()));
      }
      return missing;
    });
  }

  private static Change change(Place place, @Nullable Attachment view, long after) {
    if (view == null) {
      return new Change.Detached(place.sequence(), place.sandbox());
    }
    return place.since() > after
        ? new Change.Attached(place.sequence(), view)
        : new Change.Updated(place.sequence(), view);
  }

  private static Refusal notAttached(String sandbox, String gateway) {
    return new Refusal(
        ErrorReason.ERROR_REASON_ATTACHMENT_NOT_FOUND,
        "sandbox '%s' is not attached at gateway %s".formatted(sandbox, gateway));
  }
}
