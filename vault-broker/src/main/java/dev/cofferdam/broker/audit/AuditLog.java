package dev.cofferdam.broker.audit;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Signal;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.Verdict;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;

/**
 * The append-only record in PostgreSQL. Positions rise, per tenant, in the order of commits over
 * all brokers: a reader that has seen one has seen everything before it, so it can go on from there
 * and misses nothing.
 */
public final class AuditLog {
  private static final int PAGE = 500;
  private static final String APPEND = "select audit_append(?, ?, ?, ?, ?::timestamptz[], ?, ?, ?)";

  private final Database database;
  private final String broker;
  private final Signal appended = new Signal();

  /**
   * @param broker the instance whose hash chain the rows join
   */
  public AuditLog(Database database, String broker) {
    this.database = database;
    this.broker = broker;
    var _ =
        database.transact(tx ->
            tx.update(
                "with begun as (insert into audit_start (broker, number, hash) values (?, 0, ?)"
                    + " on conflict do nothing)"
                    + " insert into audit_chain (broker, number, hash) values (?, 0, ?)"
                    + " on conflict do nothing",
                broker,
                AuditChain.start(),
                broker,
                AuditChain.start()));
  }

  /**
   * Writes events as part of a transaction, as its last act: it takes locks that every writer of
   * the same tenants waits for until the commit.
   */
  public void append(Tx tx, List<AuditRow> rows) throws SQLException {
    if (!rows.isEmpty()) {
      tx.list(APPEND, row -> "", arguments(rows));
      tx.afterCommit(appended::raise);
    }
  }

  /**
   * Writes events and commits, in one round trip: nobody waits for the locks while it is on its
   * way.
   */
  public void appendAndCommit(Tx tx, List<AuditRow> rows) throws SQLException {
    if (!rows.isEmpty()) {
      tx.runAndCommit(APPEND, arguments(rows));
      tx.afterCommit(appended::raise);
    }
  }

  private Object[] arguments(List<AuditRow> rows) {
    int size = rows.size();
    // Sorted, so that two writers never wait for each other.
    List<AuditRow> sorted = rows.stream().sorted(Comparator.comparing(AuditRow::tenant)).toList();
    SequencedMap<String, Long> added = new LinkedHashMap<>();
    List<String> tenants = new ArrayList<>(size);
    List<String> times = new ArrayList<>(size);
    List<String> sandboxes = new ArrayList<>(size);
    long[] types = new long[size];
    byte[][] events = new byte[size][];
    for (int i = 0; i < size; i++) {
      AuditRow row = sorted.get(i);
      added.merge(row.tenant(), 1L, Long::sum);
      tenants.add(row.tenant());
      times.add(AuditTexts.instant(row.event().getTime()).toString());
      sandboxes.add(row.event().getSandbox());
      types[i] = row.event().getTypeValue();
      events[i] = row.event().toByteArray();
    }
    return new Object[] {
      broker,
      List.copyOf(added.keySet()),
      added.values().stream().mapToLong(Long::longValue).toArray(),
      tenants,
      times,
      types,
      sandboxes,
      events
    };
  }

  /**
   * Events of one tenant after a cursor, oldest first.
   *
   * @param limit how many are looked at
   */
  public Page read(String tenant, Cursor after, Filter filter, int limit) {
    StringBuilder sql =
        new StringBuilder("select position, event from audit_event where tenant = ?");
    List<Object> arguments = new ArrayList<>(List.of(tenant));
    // A statement for each, for each has an index of its own.
    if (filter.sandbox().isPresent()) {
      sql.append(" and sandbox = ?");
      arguments.add(filter.sandbox().get());
    }
    if (filter.type().isPresent()) {
      sql.append(" and type = ?");
      arguments.add(filter.type().get().getNumber());
    }
    sql.append(" and position > ? order by position limit ?");
    arguments.add(after.position());
    arguments.add(limit + 1);
    List<AuditEvent> looked =
        database.transact(tx -> tx.list(sql.toString(), AuditLog::event, arguments.toArray()));
    boolean more = looked.size() > limit;
    List<AuditEvent> page = more ? looked.subList(0, limit) : looked;
    return new Page(
        page.stream().filter(filter::verdictIs).toList(),
        page.isEmpty() ? after : Cursor.parse(page.getLast().getCursor()),
        more);
  }

  /** Which of a tenant's events. What is empty leaves nothing out. */
  public record Filter(
      Optional<String> sandbox, Optional<AuditEventType> type, Optional<Verdict> verdict) {
    public static final Filter ALL =
        new Filter(Optional.empty(), Optional.empty(), Optional.empty());

    private boolean verdictIs(AuditEvent event) {
      return verdict.isEmpty() || verdict.get() == event.getVerdict();
    }
  }

  /**
   * @param last the place of the last one that was looked at, to go on from
   * @param more whether there are more behind it
   */
  public record Page(List<AuditEvent> events, Cursor last, boolean more) {}

  /** Raised after each commit of this broker; another broker's rows are found by looking. */
  public Signal appended() {
    return appended;
  }

  /**
   * Goes through what is kept of a broker's chain.
   *
   * @return the number of the first row that does not belong, empty when all do
   */
  public Optional<Long> firstBroken(String ofBroker) {
    Link link = Link.FIRST;
    while (true) {
      Part part = part(ofBroker, link.number());
      if (part.start().number() > link.number()) {
        // Forgotten, perhaps since the last part was read.
        link = part.start();
      }
      for (Stored stored : part.rows()) {
        link = link.next(stored.tenant(), stored.position(), stored.event().toByteArray());
        if (!link.equals(stored.link())) {
          return Optional.of(link.number());
        }
      }
      if (part.rows().size() < PAGE) {
        // Rows removed from the end leave a chain that is whole but shorter than its head.
        return part.head() == link.number() ? Optional.empty() : Optional.of(link.number() + 1);
      }
    }
  }

  /** Of a chain as it is at one moment, its rows after a number. */
  private Part part(String ofBroker, long after) {
    List<Stored> rows = new ArrayList<>();
    List<Part> parts =
        database.transact(tx -> {
          rows.clear();
          return tx.list(
              "select chain.number as head, start.number as start, start.hash as start_hash,"
                  + " row.tenant, row.position, row.number, row.event, row.hash"
                  + " from audit_chain chain join audit_start start using (broker)"
                  + " left join lateral (select tenant, position, number, event, hash"
                  + " from audit_event where broker = chain.broker"
                  + " and number > greatest(?, start.number) order by number limit ?) row on true"
                  + " where chain.broker = ? order by row.number",
              row -> {
                if (row.getString("tenant") != null) {
                  rows.add(
                      new Stored(
                          row.getString("tenant"),
                          row.getLong("position"),
                          ByteString.copyFrom(row.getBytes("event")),
                          new Link(
                              row.getLong("number"), ByteString.copyFrom(row.getBytes("hash")))));
                }
                return new Part(
                    row.getLong("head"),
                    new Link(row.getLong("start"), ByteString.copyFrom(row.getBytes("start_hash"))),
                    rows);
              },
              after,
              PAGE,
              ofBroker);
        });
    return parts.isEmpty() ? new Part(0, Link.FIRST, List.of()) : parts.getFirst();
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

  private static AuditEvent event(ResultSet row) throws SQLException {
    try {
      return AuditEvent.parseFrom(row.getBytes("event")).toBuilder()
          .setCursor(new Cursor(row.getLong("position")).toString())
          .build();
    } catch (InvalidProtocolBufferException e) {
      throw new SQLException("audit_event holds no event at " + row.getLong("position"), e);
    }
  }

  private record Stored(String tenant, long position, ByteString event, Link link) {}

  /**
   * @param start what the rows that are kept go on from
   */
  private record Part(long head, Link start, List<Stored> rows) {}

  private record Link(long number, ByteString hash) {
    /** Before the first row. */
    static final Link FIRST = new Link(0, ByteString.copyFrom(AuditChain.start()));

    Link next(String tenant, long position, byte[] event) {
      return new Link(
          number + 1,
          ByteString.copyFrom(
              AuditChain.next(hash.toByteArray(), tenant, position, number + 1, event)));
    }
  }
}
