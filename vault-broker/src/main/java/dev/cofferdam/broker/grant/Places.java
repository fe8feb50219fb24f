package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.sql.Tx;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;

/**
 * The rows of attachments. Every change takes the next sequence of its gateway, under the lock of
 * the gateway's row: sequences are committed in their order, so a reader never skips one.
 */
final class Places {
  private static final String COLUMNS =
      "a.gateway, a.sandbox, a.slot_address, a.node, a.epoch, a.generation, a.since, a.sequence,"
          + " a.detached";

  /** The gateway's next sequence, under the lock of its row. */
  private static final String NEXT =
      "next as (insert into gateway as g (instance, sequence) values (?, 1) on conflict (instance)"
          + " do update set sequence = g.sequence + 1 returning sequence)";

  private Places() {}

  /** A sandbox at a gateway. */
  record Place(
      String gateway,
      String sandbox,
      String slotAddress,
      String node,
      long epoch,
      long generation,
      long since,
      long sequence,
      boolean detached) {
    static Place of(ResultSet row) throws SQLException {
      return new Place(
          row.getString("gateway"),
          row.getString("sandbox"),
          row.getString("slot_address"),
          row.getString("node"),
          row.getLong("epoch"),
          row.getLong("generation"),
          row.getLong("since"),
          row.getLong("sequence"),
          row.getBoolean("detached"));
    }
  }

  static List<Place> live(Tx tx, String sandbox) throws SQLException {
    return tx.list(
        "select "
            + COLUMNS
            + " from attachment a where sandbox = ? and not detached order by gateway",
        Place::of,
        sandbox);
  }

  /**
   * @param suspended the place's node is lost
   */
  record Held(Place place, boolean suspended) {}

  /** Held against change until the transaction ends, their nodes' states too. */
  static Tx.Select<Held> share(List<String> sandboxes) {
    return Tx.Select.of(
        "select "
            + COLUMNS
            + ", n.suspended from attachment a join node n on n.instance = a.node"
            + " where sandbox = any (?) and not detached order by gateway, sandbox for share",
        row -> new Held(Place.of(row), row.getBoolean("suspended")),
        sandboxes);
  }

  static List<Place> liveWithSecret(Tx tx, UUID secret) throws SQLException {
    return tx.list(
        "select distinct "
            + COLUMNS
            + " from attachment a join secret_grant g on g.sandbox = a.sandbox"
            + " where g.secret = ? and not g.revoked and not a.detached order by gateway, sandbox",
        Place::of,
        secret);
  }

  /** Those of the sandbox, and whatever is in the slot. */
  static List<Place> inTheWay(Tx tx, String sandbox, String gateway, String slotAddress)
      throws SQLException {
    return tx.list(
        "select "
            + COLUMNS
            + " from attachment a where not detached"
            + " and (sandbox = ? or (gateway = ? and slot_address = ?)) order by gateway, sandbox",
        Place::of,
        sandbox,
        gateway,
        slotAddress);
  }

  static List<Place> changedAfter(Tx tx, String gateway, long sequence) throws SQLException {
    return tx.list(
        "select "
            + COLUMNS
            + " from attachment a where gateway = ? and sequence > ? order by sequence",
        Place::of,
        gateway,
        sequence);
  }

  static List<Place> liveAt(Tx tx, String gateway) throws SQLException {
    return tx.list(
        "select "
            + COLUMNS
            + " from attachment a where gateway = ? and not detached order by sequence",
        Place::of,
        gateway);
  }

  /**
   * Marks as changed.
   *
   * @param places in the order of their gateways
   * @return the sequence of each gateway that says so
   */
  static Map<String, Long> changed(Tx tx, List<Place> places) throws SQLException {
    return mark(tx, places, false);
  }

  /** Marks as gone. */
  static Map<String, Long> detached(Tx tx, List<Place> places) throws SQLException {
    return mark(tx, places, true);
  }

  static Place attach(Tx tx, String gateway, Sandbox sandbox, String slotAddress)
      throws SQLException {
    return tx.only(
        "with "
            + NEXT
            + " insert into attachment as a (gateway, sandbox, slot_address, node, epoch,"
            + " generation, since, sequence, detached) select ?, ?, ?, ?, ?, ?, sequence, sequence,"
            + " false from next on conflict (gateway, sandbox)"
            + " do update set slot_address = excluded.slot_address, node = excluded.node,"
            + " epoch = excluded.epoch, generation = excluded.generation, since = excluded.since,"
            + " sequence = excluded.sequence, detached = false returning "
            + COLUMNS,
        Place::of,
        gateway,
        gateway,
        sandbox.id(),
        slotAddress,
        sandbox.node(),
        sandbox.epoch(),
        sandbox.generation());
  }

  private static Map<String, Long> mark(Tx tx, List<Place> places, boolean detached)
      throws SQLException {
    Map<String, Long> sequences = new TreeMap<>();
    for (Place place : places) {
      Optional<Long> sequence =
          tx.first(
              "with "
                  + NEXT
                  + " update attachment a set sequence = next.sequence, detached = ? from next"
                  + " where gateway = ? and sandbox = ? and not detached returning a.sequence",
              row -> row.getLong(1),
              place.gateway(),
              detached,
              place.gateway(),
              place.sandbox());
      sequence.ifPresent(next -> sequences.put(place.gateway(), next));
    }
    return sequences;
  }
}
