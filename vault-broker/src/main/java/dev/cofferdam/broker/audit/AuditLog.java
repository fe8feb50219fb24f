package dev.cofferdam.broker.audit;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Timestamp;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Signal;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The append-only record in PostgreSQL. Positions rise, per tenant, in the order of commits over
 * all brokers: a reader that has seen one has seen everything before it, so it can go on from there
 * and misses nothing.
 */
public final class AuditLog {
  private static final int PAGE = 500;

  private final Database database;
  private final String broker;
  private final Signal appended = new Signal();

  /**
   * @param broker the instance whose hash chain the rows join
   */
  public AuditLog(Database database, String broker) {
    this.database = database;
    this.broker = broker;
  }

  /**
   * Writes events as part of a transaction, as its last act: it takes locks that every writer of
   * the same tenants waits for until the commit.
   */
  public void append(Tx tx, List<AuditRow> rows) throws SQLException {
    if (rows.isEmpty()) {
      return;
    }
    // Sorted, so that two writers never wait for each other.
    Map<String, List<AuditRow>> byTenant = new TreeMap<>();
    rows.forEach(row -> byTenant.computeIfAbsent(row.tenant(), t -> new ArrayList<>()).add(row));
    Map<String, Long> positions = new TreeMap<>();
    for (Map.Entry<String, List<AuditRow>> entry : byTenant.entrySet()) {
      long last =
          tx.only(
              "insert into audit_head as head (tenant, position) values (?, ?) on conflict (tenant)"
                  + " do update set position = head.position + excluded.position returning"
                  + " position",
              row -> row.getLong(1),
              entry.getKey(),
              (long) entry.getValue().size());
      positions.put(entry.getKey(), last - entry.getValue().size() + 1);
    }
    insert(tx, byTenant, positions);
    tx.afterCommit(appended::raise);
  }

  private void insert(Tx tx, Map<String, List<AuditRow>> byTenant, Map<String, Long> positions)
      throws SQLException {
    tx.update(
        "insert into audit_chain (broker, number, hash) values (?, 0, ?) on conflict do nothing",
        broker,
        AuditChain.start());
    Link link =
        tx.only(
            "select number, hash from audit_chain where broker = ? for update",
            row -> new Link(row.getLong(1), ByteString.copyFrom(row.getBytes(2))),
            broker);
    List<Object[]> values = new ArrayList<>();
    for (Map.Entry<String, List<AuditRow>> entry : byTenant.entrySet()) {
      long position = positions.getOrDefault(entry.getKey(), 0L);
      for (AuditRow row : entry.getValue()) {
        byte[] event = row.event().toByteArray();
        link = link.next(entry.getKey(), position, event);
        values.add(
            new Object[] {
              entry.getKey(),
              position,
              broker,
              link.number(),
              instant(row.event().getTime()),
              (short) row.event().getTypeValue(),
              row.event().getSandbox(),
              event,
              link.hash().toByteArray()
            });
        position++;
      }
    }
    tx.updateAll(
        "insert into audit_event (tenant, position, broker, number, time, type, sandbox, event,"
            + " hash) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        values);
    tx.update(
        "update audit_chain set number = ?, hash = ? where broker = ?",
        link.number(),
        link.hash().toByteArray(),
        broker);
  }

  /** Events of one tenant after a cursor, oldest first, at most {@code limit}. */
  public List<AuditEvent> read(
      String tenant,
      Cursor after,
      Optional<String> sandbox,
      Optional<AuditEventType> type,
      int limit) {
    return database.transact(tx ->
        tx.list(
            "select position, event from audit_event where tenant = ? and position > ?"
                + " and (? = '' or sandbox = ?) and (? = 0 or type = ?) order by position limit ?",
            AuditLog::event,
            tenant,
            after.position(),
            sandbox.orElse(""),
            sandbox.orElse(""),
            type.map(AuditEventType::getNumber).orElse(0),
            type.map(AuditEventType::getNumber).orElse(0),
            limit));
  }

  /** Raised after each commit of this broker; another broker's rows are found by looking. */
  public Signal appended() {
    return appended;
  }

  /**
   * Goes through a broker's chain.
   *
   * @return the number of the first row that does not belong, empty when all do
   */
  public Optional<Long> firstBroken(String ofBroker) {
    Link link = new Link(0, ByteString.copyFrom(AuditChain.start()));
    while (true) {
      Link last = link;
      List<Stored> page =
          database.transact(tx ->
              tx.list(
                  "select tenant, position, number, event, hash from audit_event"
                      + " where broker = ? and number > ? order by number limit ?",
                  row ->
                      new Stored(
                          row.getString("tenant"),
                          row.getLong("position"),
                          row.getLong("number"),
                          ByteString.copyFrom(row.getBytes("event")),
                          ByteString.copyFrom(row.getBytes("hash"))),
                  ofBroker,
                  last.number(),
                  PAGE));
      for (Stored stored : page) {
        link = link.next(stored.tenant(), stored.position(), stored.event().toByteArray());
        if (link.number() != stored.number() || !link.hash().equals(stored.hash())) {
          return Optional.of(link.number());
        }
      }
      if (page.size() < PAGE) {
        return cutOff(ofBroker, link);
      }
    }
  }

  /** The newest link, to be kept elsewhere: it vouches for all rows before it. */
  public Optional<Checkpoint> checkpoint() {
    return database.transact(tx ->
        tx.first(
            "select number, hash from audit_chain where broker = ?",
            row -> new Checkpoint(broker, row.getLong(1), ByteString.copyFrom(row.getBytes(2))),
            broker));
  }

  /** A row number of a broker's chain and the hash over everything up to it. */
  public record Checkpoint(String broker, long number, ByteString hash) {}

  private Optional<Long> cutOff(String ofBroker, Link link) {
    // Rows removed from the end leave a chain that is whole but shorter than its head.
    long head =
        database
            .transact(tx ->
                tx.first(
                    "select number from audit_chain where broker = ?",
                    row -> row.getLong(1),
                    ofBroker))
            .orElse(0L);
    return head == link.number() ? Optional.empty() : Optional.of(link.number() + 1);
  }

  private static AuditEvent event(ResultSet row) throws SQLException {
    try {
      return AuditEvent.parseFrom(row.getBytes("event")).toBuilder()
          .setCursor(new Cursor(row.getLong("position")).toString())
          .build();
    } catch (InvalidProtocolBufferException e) {
      throw new SQLException("audit_event holds no event at " + row.getLong("position"), e);
    }
  }

  private static Instant instant(Timestamp time) {
    return Instant.ofEpochSecond(time.getSeconds(), time.getNanos());
  }

  private record Stored(
      String tenant, long position, long number, ByteString event, ByteString hash) {}

  private record Link(long number, ByteString hash) {
    Link next(String tenant, long position, byte[] event) {
      return new Link(
          number + 1,
          ByteString.copyFrom(
              AuditChain.next(hash.toByteArray(), tenant, position, number + 1, event)));
    }
  }
}
