package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.grant.Places.Place;
import dev.cofferdam.broker.grant.Tickets.Ticket;
import dev.cofferdam.broker.policy.Cidr;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Signal;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.internal.v1.Attachment;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.sql.SQLException;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The way from a ticket to an attachment. */
public final class Redemption {
  private final Database database;
  private final AuditLog audit;
  private final Map<String, Cidr> slotPrefixes;
  private final Signal news;
  private final InstantSource clock;

  /**
   * @param slotPrefixes of each node that may attach at all
   * @param news raised with every attachment
   */
  public Redemption(
      Database database,
      AuditLog audit,
      Map<String, Cidr> slotPrefixes,
      Signal news,
      InstantSource clock) {
    this.database = database;
    this.audit = audit;
    this.slotPrefixes = Map.copyOf(slotPrefixes);
    this.news = news;
    this.clock = clock;
  }

  /** What a ticket led to: one of the two, committed. */
  private sealed interface Result {
    record Refused(Refusal why) implements Result {}

    record Made(Attachment attachment) implements Result {}
  }

  /**
   * Attaches a sandbox. A refused ticket stays good for whom it was made for, and the attempt goes
   * on record.
   */
  public Attachment redeem(String gateway, String ticket, String node, String slotAddress) {
    Result result =
        database.transact(tx -> {
          // Under its lock: nothing that the ticket is compared with can change meanwhile.
          Sandbox sandbox =
              Sandbox.lockOfTicket(tx, ticket).orElseThrow(() -> invalid("it is not known here"));
          Optional<Refusal> refusal = refusal(tx, sandbox, ticket, node, slotAddress);
          if (refusal.isPresent()) {
            record(tx, sandbox, node, slotAddress, refusal.get());
            return new Result.Refused(refusal.get());
          }
          return new Result.Made(attach(tx, gateway, sandbox, slotAddress));
        });
    return switch (result) {
      case Result.Refused refused -> throw refused.why();
      case Result.Made made -> made.attachment();
    };
  }

  private void record(Tx tx, Sandbox sandbox, String node, String slotAddress, Refusal why)
      throws SQLException {
    audit.append(
        tx,
        List.of(
            Records.refused(
                clock.instant(),
                sandbox.tenant(),
                sandbox.id(),
                "node %s, slot %s: %s".formatted(node, slotAddress, why.getMessage()))));
  }

  private Attachment attach(Tx tx, String gateway, Sandbox sandbox, String slotAddress)
      throws SQLException {
    // The sandbox moves, and a slot holds one sandbox: who was there has left it.
    var _ = Places.detached(tx, Places.inTheWay(tx, sandbox.id(), gateway, slotAddress));
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
    Ticket now = Tickets.find(tx, ticket).orElseThrow();
    Optional<String> problem = now.problem(sandbox, node, clock.instant());
    if (problem.isPresent()) {
      return problem.map(Redemption::invalid);
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
    return Tickets.redeem(tx, ticket, clock.instant())
        ? Optional.empty()
        : Optional.of(invalid("it was redeemed before"));
  }

  private static Refusal invalid(String why) {
    return new Refusal(
        ErrorReason.ERROR_REASON_TICKET_INVALID, "the attach ticket is refused: " + why);
  }
}
