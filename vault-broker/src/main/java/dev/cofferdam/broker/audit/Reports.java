package dev.cofferdam.broker.audit;

import com.google.protobuf.Timestamp;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.Verdict;
import io.micrometer.core.instrument.MeterRegistry;
import java.sql.SQLException;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;

/** Takes over what gateways decided and what nodes say that their slots dropped. */
public final class Reports {
  private static final Pattern SPOOL = Pattern.compile("[!-~]{1,64}");
  private static final Set<String> DROP_PROTOCOLS =
      Set.of("udp", "icmp", "ipv6", "tcp", "ip", "spoofed", "arp");

  /** The contract's. */
  private static final int MAX_DATA = 32;

  private final Database database;
  private final AuditLog audit;
  private final InstantSource clock;

  private final ReportMeters meters;

  public Reports(Database database, AuditLog audit, InstantSource clock, MeterRegistry meters) {
    this.database = database;
    this.audit = audit;
    this.clock = clock;
    this.meters = new ReportMeters(meters);
  }

  /**
   * A decision from a spool.
   *
   * @param number dense within the spool, from 1 (or 0)
   */
  public record Decision(String spool, long number, AuditEvent event) {
    public Decision {
      if (!SPOOL.matcher(spool).matches() || number < 0) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
            "a decision's spool or number is none, expected up to 64 visible characters and less"
                + " than 2^63");
      }
    }
  }

  /** Packets that a slot dropped. */
  public record Drop(
      String sandbox, String protocol, String destination, int port, long count, Instant first) {}

  /**
   * Writes each decision exactly once, whatever is sent again, and a GAP for numbers that never
   * came. Who reports and whose the sandbox is come from the certificate and the database, not from
   * the event; of a sandbox that was never attached at the gateway the event is no tenant's.
   */
  public void decisions(String gateway, List<Decision> decisions) {
    List<AuditRow> written =
        database.transact(tx -> {
          Map<String, Long> last = new HashMap<>();
          Map<String, Optional<String>> tenants = new HashMap<>();
          List<AuditRow> rows = new ArrayList<>();
          for (Decision decision : decisions) {
            Long known = last.get(decision.spool());
            long before = known == null ? lastNumber(tx, gateway, decision.spool()) : known;
            if (decision.number() > before) {
              Optional<String> tenant = tenant(tx, gateway, tenants, decision.event().getSandbox());
              long missing = decision.number() - before - 1;
              // A spool may count from 0 or from 1.
              if (missing > 0 && !(before == -1 && missing == 1)) {
                rows.addAll(
                    gaps(tx, gateway, decision, tenant, before == -1 ? missing - 1 : missing));
              }
              rows.add(new AuditRow(tenant.orElse(""), event(decision.event())));
              before = decision.number();
            }
            last.put(decision.spool(), before);
          }
          for (Map.Entry<String, Long> entry : last.entrySet()) {
            tx.update(
                "update spool set number = ? where gateway = ? and id = ?",
                entry.getValue(),
                gateway,
                entry.getKey());
          }
          audit.appendAndCommit(tx, rows);
          return rows;
        });
    // After the commit: a transaction may run several times.
    written.forEach(row -> meters.written(row.event(), clock.instant()));
  }

  /**
   * Drops of sandboxes that the node has; those of others it cannot know of, and they are left out.
   */
  public void drops(String node, List<Drop> drops) {
    List<AuditRow> written =
        database.transact(tx -> {
          Map<String, Optional<String>> owners = new HashMap<>();
          List<AuditRow> rows = new ArrayList<>();
          for (Drop drop : drops) {
            Optional<String> owner = owners.get(drop.sandbox());
            if (owner == null) {
              owner =
                  tx.first(
                      "select tenant from sandbox where id = ? and node = ?",
                      row -> row.getString(1),
                      AuditTexts.line(drop.sandbox(), 63),
                      node);
              owners.put(drop.sandbox(), owner);
            }
            owner.ifPresent(tenant -> rows.add(new AuditRow(tenant, event(drop))));
          }
          audit.appendAndCommit(tx, rows);
          return rows;
        });
    written.forEach(row -> meters.written(row.event(), clock.instant()));
  }

  private static long lastNumber(Tx tx, String gateway, String spool) throws SQLException {
    tx.update(
        "insert into spool (gateway, id, number) values (?, ?, -1) on conflict do nothing",
        gateway,
        spool);
    return tx.only(
        "select number from spool where gateway = ? and id = ? for update",
        row -> row.getLong(1),
        gateway,
        spool);
  }

  private static Optional<String> tenant(
      Tx tx, String gateway, Map<String, Optional<String>> known, String sandbox)
      throws SQLException {
    Optional<String> tenant = known.get(sandbox);
    if (tenant == null) {
      tenant =
          tx.first(
              // Detached ones too: a spool comes late.
              "select s.tenant from attachment a join sandbox s on s.id = a.sandbox"
                  + " where a.gateway = ? and a.sandbox = ?",
              row -> row.getString(1),
              gateway,
              AuditTexts.line(sandbox, 63));
      known.put(sandbox, tenant);
    }
    return tenant;
  }

  /** What is missing may have been anybody's at that gateway, so all of them are told. */
  private List<AuditRow> gaps(
      Tx tx, String gateway, Decision decision, Optional<String> tenant, long missing)
      throws SQLException {
    Set<String> told =
        new TreeSet<>(
            tx.list(
                "select distinct s.tenant from attachment a join sandbox s on s.id = a.sandbox"
                    + " where a.gateway = ?",
                row -> row.getString(1),
                gateway));
    told.add(tenant.orElse(""));
    AuditEvent gap =
        AuditEvent.newBuilder()
            .setType(AuditEventType.AUDIT_EVENT_TYPE_GAP)
            .setTime(AuditTexts.timestamp(clock.instant()))
            .setReportedBy("broker")
            .setCount(missing)
            .setMessage(
                "gateway %s, spool %s: %d events before number %d never came"
                    .formatted(gateway, decision.spool(), missing, decision.number()))
            .build();
    return told.stream().map(one -> new AuditRow(one, gap)).toList();
  }

  private AuditEvent event(AuditEvent reported) {
    return AuditEvent.newBuilder()
        // Whatever it claims to be: only the broker writes uses.
        .setType(AuditEventType.AUDIT_EVENT_TYPE_DECISION)
        .setTime(plausible(reported.getTime()))
        .setReportedBy("gateway")
        .setSandbox(AuditTexts.line(reported.getSandbox(), 63))
        .setRequest(AuditTexts.line(reported.getRequest(), 64))
        .setSecret(AuditTexts.line(reported.getSecret(), 63))
        .setHost(AuditTexts.line(reported.getHost(), 253))
        .setPort(reported.getPort())
        .setProtocol(AuditTexts.line(reported.getProtocol(), 16))
        .setMethod(AuditTexts.line(reported.getMethod(), 32))
        .setPath(AuditTexts.path(reported.getPath()))
        .setTarget(AuditTexts.line(reported.getTarget(), 300))
        .setVerdictValue(reported.getVerdictValue())
        .setReasonValue(reported.getReasonValue())
        .setStatus(reported.getStatus())
        .setBytesOut(reported.getBytesOut())
        .setBytesIn(reported.getBytesIn())
        .setUninspected(reported.getUninspected())
        .setDowngraded(reported.getDowngraded())
        .setLearning(reported.getLearning())
        .setLearned(reported.getLearned())
        .setApproval(AuditTexts.line(reported.getApproval(), 64))
        .addAllData(
            reported.getDataList().stream()
                .limit(MAX_DATA)
                .map(found -> AuditTexts.line(found, 64))
                .toList())
        .setCount(reported.getCount())
        .setMessage(AuditTexts.line(reported.getMessage(), 512))
        .build();
  }

  /** The reporter's clock, unless it says what no clock does (years 1970 to 2286 are taken). */
  private Timestamp plausible(Timestamp time) {
    return time.getSeconds() > 0
            && time.getSeconds() < 10_000_000_000L
            && time.getNanos() >= 0
            && time.getNanos() < 1_000_000_000
        ? time
        : AuditTexts.timestamp(clock.instant());
  }

  private AuditEvent event(Drop drop) {
    return AuditEvent.newBuilder()
        .setType(AuditEventType.AUDIT_EVENT_TYPE_DROP)
        .setTime(plausible(AuditTexts.timestamp(drop.first())))
        .setSandbox(AuditTexts.line(drop.sandbox(), 63))
        .setHost(AuditTexts.line(drop.destination(), 253))
        .setPort(drop.port())
        .setProtocol(DROP_PROTOCOLS.contains(drop.protocol()) ? drop.protocol() : "ip")
        .setVerdict(Verdict.VERDICT_DENIED)
        .setReason(EgressReason.EGRESS_REASON_PACKET_DROPPED)
        .setReportedBy("node")
        .setCount(drop.count())
        .build();
  }
}
