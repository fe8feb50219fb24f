package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.ca.CertificateAuthority;
import dev.cofferdam.broker.ca.LineageRoot;
import dev.cofferdam.broker.grant.Places.Place;
import dev.cofferdam.broker.grant.Tickets.Ticket;
import dev.cofferdam.broker.policy.Cidr;
import dev.cofferdam.broker.policy.HostPattern;
import dev.cofferdam.broker.policy.Policies;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Signal;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.security.SecureRandom;
import java.sql.SQLException;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

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
  private final Map<String, Cidr> slotPrefixes;
  private final Signal news;
  private final InstantSource clock;
  private final Tickets tickets;

  /**
   * @param slotPrefixes of each node that may attach at all
   * @param news raised with every change and acknowledgement of this broker
   */
  public Attachments(
      Database database,
      AuditLog audit,
      CertificateAuthority authority,
      Map<String, Cidr> slotPrefixes,
      Signal news,
      InstantSource clock,
      SecureRandom random) {
    this.database = database;
    this.audit = audit;
    this.authority = authority;
    this.slotPrefixes = Map.copyOf(slotPrefixes);
    this.news = news;
    this.clock = clock;
    this.tickets = new Tickets(new RandomTokens(random), clock);
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

  /**
   * Attaches a sandbox. A refused ticket stays good for whom it was made for, and the attempt goes
   * on record.
   */
  public Attachment redeem(String gateway, String ticket, String node, String slotAddress) {
    Ticket found =
        database
            .transact(tx -> Tickets.find(tx, ticket))
            .orElseThrow(() -> invalid("it is not known here"));
    Object result =
        database.transact(tx -> {
          Sandbox sandbox = Sandbox.lock(tx, found.sandbox()).orElseThrow();
          Optional<Refusal> refusal = refusal(tx, sandbox, ticket, node, slotAddress);
          if (refusal.isPresent()) {
            audit.append(
                tx,
                List.of(
                    Records.refused(
                        clock.instant(),
                        sandbox.tenant(),
                        sandbox.id(),
                        "node %s, slot %s: %s"
                            .formatted(node, slotAddress, refusal.get().getMessage()))));
            return refusal.get();
          }
          return attach(tx, gateway, sandbox, slotAddress);
        });
    return switch (result) {
      case Refusal refusal -> throw refusal;
      case Attachment attachment -> attachment;
      default -> throw new IllegalStateException(result.getClass().getName());
    };
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
    record Ground(LineageRoot root, List<HostPattern> names) {}

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
          return new Ground(
              Lineages.read(tx, sandbox.lineage()), Policies.of(sandbox.policy()).intercepted());
        });
    return authority.issue(ground.root(), ground.names(), request);
  }

  /**
   * The beginning of a gateway's stream.
   *
   * @param process what an earlier process acknowledged says nothing of this one
   */
  public Snapshot begin(String gateway, String process) {
    return database.transact(tx -> {
      long sequence =
          tx.only(
              "insert into gateway as g (instance, process) values (?, ?) on conflict (instance)"
                  + " do update set process = excluded.process, acknowledged ="
                  + " case when g.process = excluded.process then g.acknowledged else 0 end"
                  + " returning sequence",
              row -> row.getLong(1),
              gateway,
              process);
      List<Change.Attached> attached = new ArrayList<>();
      for (Place place : Places.liveAt(tx, gateway)) {
        Optional<Sandbox> sandbox = Sandbox.read(tx, place.sandbox());
        if (sandbox.isPresent()) {
          attached.add(new Change.Attached(place.sequence(), Views.of(tx, place, sandbox.get())));
        }
      }
      return new Snapshot(sequence, attached);
    });
  }

  /** What changed at a gateway after a sequence, in order. */
  public List<Change> changes(String gateway, long after) {
    return database.transact(tx -> {
      List<Change> changes = new ArrayList<>();
      for (Place place : Places.changedAfter(tx, gateway, after)) {
        changes.add(change(tx, place, after));
      }
      return changes;
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

  private Change change(Tx tx, Place place, long after) throws SQLException {
    if (place.detached()) {
      return new Change.Detached(place.sequence(), place.sandbox());
    }
    Attachment view = Views.of(tx, place, Sandbox.read(tx, place.sandbox()).orElseThrow());
    return place.since() > after
        ? new Change.Attached(place.sequence(), view)
        : new Change.Updated(place.sequence(), view);
  }

  private Attachment attach(Tx tx, String gateway, Sandbox sandbox, String slotAddress)
      throws SQLException {
    List<Place> before =
        Stream.concat(
                // The sandbox moves, and a slot holds one sandbox: who was there has left it.
                Places.live(tx, sandbox.id()).stream(),
                Places.inSlot(tx, gateway, slotAddress).stream())
            .distinct()
            .sorted(Comparator.comparing(Place::gateway).thenComparing(Place::sandbox))
            .toList();
    var _ = Places.detached(tx, before);
    Place place = Places.attach(tx, gateway, sandbox, slotAddress);
    Attachment view = Views.of(tx, place, sandbox);
    audit.append(
        tx,
        List.of(
            Records.change(
                clock.instant(),
                sandbox.tenant(),
                sandbox.id(),
                "attached on node %s in slot %s at gateway %s"
                    .formatted(place.node(), slotAddress, gateway))));
    tx.afterCommit(news::raise);
    return view;
  }

  private Optional<Refusal> refusal(
      Tx tx, Sandbox sandbox, String ticket, String node, String slotAddress) throws SQLException {
    // Under the sandbox's lock: nothing that it is compared with can change meanwhile.
    Ticket now = Tickets.find(tx, ticket).orElseThrow();
    Optional<String> problem = now.problem(sandbox, node, clock.instant());
    if (problem.isPresent()) {
      return problem.map(Attachments::invalid);
    }
    if (now.epoch() != sandbox.epoch()) {
      return Optional.of(
          new Refusal(
              ErrorReason.ERROR_REASON_STALE_EPOCH,
              "the ticket is of epoch %d, the sandbox is in epoch %d"
                  .formatted(now.epoch(), sandbox.epoch())));
    }
    Optional<Integer> address = Cidr.address(slotAddress);
    Cidr prefix = slotPrefixes.get(node);
    if (address.isEmpty() || prefix == null || !prefix.contains(address.get())) {
      return Optional.of(invalid("the slot's address is none of node " + node));
    }
    return tickets.redeem(tx, ticket)
        ? Optional.empty()
        : Optional.of(invalid("it was redeemed before"));
  }

  private static Refusal invalid(String why) {
    return new Refusal(
        ErrorReason.ERROR_REASON_TICKET_INVALID, "the attach ticket is refused: " + why);
  }

  private static Refusal notAttached(String sandbox, String gateway) {
    return new Refusal(
        ErrorReason.ERROR_REASON_ATTACHMENT_NOT_FOUND,
        "sandbox '%s' is not attached at gateway %s".formatted(sandbox, gateway));
  }
}
