package dev.cofferdam.broker.grant;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.audit.AuditRow;
import dev.cofferdam.broker.audit.AuditTexts;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Signal;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.internal.v1.AwaitApprovalRequest;
import dev.cofferdam.internal.v1.AwaitApprovalResponse;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.Approval;
import dev.cofferdam.v1.ApprovalState;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.Verdict;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;

/**
 * Requests that wait for somebody's word. One stands in the database, so that any broker can take
 * the answer; the call of the gateway waits at one broker, and what was approved for that call is
 * no other's. Whatever changes is one transaction with its record.
 */
public final class Approvals implements AutoCloseable {
  /** Of a sandbox at a time. */
  public static final int MAX_WAITING = 16;

  public static final Duration MAX_REMEMBER = Duration.ofHours(24);
  private static final int MAX_LISTED = 1000;
  private static final int MAX_PATH = 2048;
  private static final int MAX_GRANTS = 64;

  /** How often a call that waits looks whether it is in vain. */
  private static final Duration LOOK = Duration.ofMillis(200);

  private final Database database;
  private final AuditLog audit;
  private final Signal news = new Signal();
  private final InstantSource clock;
  private final RandomTokens ids;
  private final Duration wait;
  private final String broker;
  private final AnswerBoard board;

  /**
   * @param wait how long an answer may take
   * @param broker this instance, whose calls that wait have ended when it begins
   */
  public Approvals(
      Database database,
      AuditLog audit,
      InstantSource clock,
      RandomTokens ids,
      Duration wait,
      String broker) {
    this.database = database;
    this.audit = audit;
    this.clock = clock;
    this.ids = ids;
    this.wait = wait;
    this.broker = broker;
    this.board = new AnswerBoard(database, news);
    var _ =
        database.transact(tx ->
            tx.update(
                "update approval set state = ? where broker = ? and state = ?",
                ApprovalState.APPROVAL_STATE_LAPSED_VALUE,
                broker,
                ApprovalState.APPROVAL_STATE_WAITING_VALUE));
  }

  @Override
  public void close() {
    board.close();
  }

  /** Raised with every change of this broker; another's is found by looking. */
  public Signal news() {
    return news;
  }

  /**
   * Returns when the request may go on or may not.
   *
   * @param gateway that asks
   * @param gone whether nobody waits for the answer any more
   */
  public AwaitApprovalResponse await(
      String gateway, AwaitApprovalRequest asked, BooleanSupplier gone)
      throws InterruptedException {
    if (asked.getPath().length() > MAX_PATH) {
      // Nobody shall answer for what is not shown whole.
      return refused(EgressReason.EGRESS_REASON_REQUEST_NOT_ALLOWED, "");
    }
    Begun begun = database.transact(tx -> begin(tx, gateway, asked));
    return switch (begun) {
      case Begun.Ended(AwaitApprovalResponse response) -> response;
      case Begun.Waiting(String tenant, Approval approval) -> await(tenant, approval, gone);
    };
  }

  private sealed interface Begun {
    record Ended(AwaitApprovalResponse response) implements Begun {}

    record Waiting(String tenant, Approval approval) implements Begun {}
  }

  private Begun begin(Tx tx, String gateway, AwaitApprovalRequest asked) throws SQLException {
    Instant now = clock.instant();
    // Its lock makes the count exact.
    Sandbox sandbox =
        Sandbox.lock(tx, asked.getSandbox())
            .filter(found -> !found.revoked() && found.generation() == asked.getGeneration())
            .orElseThrow(() -> notAttached(asked, gateway));
    boolean attached =
        Places.live(tx, sandbox.id()).stream()
            .anyMatch(place ->
                place.gateway().equals(gateway)
                    && place.slotAddress().equals(asked.getSlotAddress())
                    && place.generation() == asked.getGeneration());
    if (!attached) {
      throw notAttached(asked, gateway);
    }
    Approval approval = approval(tx, sandbox, asked, now);
    byte[] kind = kind(asked, approval);
    Optional<String> standing =
        tx.first(
            "select approval from standing_approval"
                + " where sandbox = ? and kind = ? and expire_time > ?",
            row -> row.getString(1),
            sandbox.id(),
            kind,
            now);
    if (standing.isPresent()) {
      audit.append(
          tx,
          List.of(
              row(
                  sandbox.tenant(),
                  approval.toBuilder().setId(standing.get()).build(),
                  Verdict.VERDICT_ALLOWED,
                  "",
                  "goes on by an approval that is remembered")));
      return new Begun.Ended(
          AwaitApprovalResponse.newBuilder().setApproval(standing.get()).build());
    }
    long waiting =
        tx.only(
            "select count(*) from approval where sandbox = ? and state = ? and expire_time > ?",
            row -> row.getLong(1),
            sandbox.id(),
            ApprovalState.APPROVAL_STATE_WAITING_VALUE,
            now);
    if (waiting >= MAX_WAITING) {
      return new Begun.Ended(refused(EgressReason.EGRESS_REASON_TOO_MANY_WAITING, ""));
    }
    tx.update(
        "insert into approval (id, tenant, sandbox, broker, request, kind, state, create_time,"
            + " expire_time) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        approval.getId(),
        sandbox.tenant(),
        sandbox.id(),
        broker,
        approval.toByteArray(),
        kind,
        approval.getStateValue(),
        now,
        now.plus(wait));
    audit.append(
        tx,
        List.of(
            row(
                sandbox.tenant(),
                approval,
                Verdict.VERDICT_UNSPECIFIED,
                "",
                "waits for an approval")));
    tx.afterCommit(news::raise);
    return new Begun.Waiting(sandbox.tenant(), approval);
  }

  private Approval approval(Tx tx, Sandbox sandbox, AwaitApprovalRequest asked, Instant now)
      throws SQLException {
    if (asked.getGrantsCount() > MAX_GRANTS) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "%d grants, expected at most %d".formatted(asked.getGrantsCount(), MAX_GRANTS));
    }
    List<Grant> grants = Grant.live(tx, List.of(sandbox.id()));
    List<String> secrets =
        asked.getGrantsList().stream()
            .map(id ->
                grants.stream()
                    .filter(grant -> grant.id().equals(id))
                    .map(Grant::secretName)
                    .findFirst()
                    .orElseThrow(() ->
                        new Refusal(
                            ErrorReason.ERROR_REASON_GRANT_REVOKED,
                            "sandbox %s has no such grant".formatted(sandbox.id()))))
            .distinct()
            .sorted()
            .toList();
    return Approval.newBuilder()
        .setId(ids.id("ap-"))
        .setSandbox(sandbox.id())
        .setState(ApprovalState.APPROVAL_STATE_WAITING)
        .setRequest(AuditTexts.line(asked.getRequest(), 64))
        .setHost(AuditTexts.line(asked.getHost(), 253))
        .setPort(asked.getPort())
        .setTls(asked.getTls())
        .setMethod(AuditTexts.line(asked.getMethod(), 32))
        .setPath(AuditTexts.path(asked.getPath()))
        .setBodyBytes(asked.getBodyBytes())
        .setContentType(AuditTexts.line(asked.getContentType(), 256))
        .addAllSecrets(secrets)
        .setCreateTime(AuditTexts.timestamp(now))
        .setExpireTime(AuditTexts.timestamp(now.plus(wait)))
        .build();
  }

  /** As it came, not as it is shown: what is cut or cleaned for people may be another request. */
  private static byte[] kind(AwaitApprovalRequest asked, Approval approval) {
    return RandomTokens.hash(
        String.join(
            "\n",
            List.of(
                asked.getHost(),
                Integer.toString(asked.getPort()),
                Boolean.toString(asked.getTls()),
                asked.getMethod(),
                // A request's line holds no line break, but a gateway might say anything.
                asked.getPath().replace("\n", "%0A"),
                String.join(",", approval.getSecretsList()))));
  }

  private AwaitApprovalResponse await(String tenant, Approval approval, BooleanSupplier gone)
      throws InterruptedException {
    Instant end = AuditTexts.instant(approval.getExpireTime());
    Future<ApprovalState> answer = board.enter(approval.getId());
    try {
      while (true) {
        try {
          return answered(approval, answer.get(LOOK.toMillis(), TimeUnit.MILLISECONDS));
        } catch (TimeoutException e) {
          boolean nobody = gone.getAsBoolean();
          boolean over = nobody || !clock.instant().isBefore(end);
          if (over && lapse(tenant, approval, nobody ? "its request is gone" : "nobody answered")) {
            return refused(EgressReason.EGRESS_REASON_APPROVAL_TIMEOUT, approval.getId());
          }
        } catch (ExecutionException e) {
          throw new IllegalStateException("the board never fails an answer", e);
        }
      }
    } catch (InterruptedException e) {
      var _ = lapse(tenant, approval, "the broker stops");
      throw e;
    } finally {
      board.leave(approval.getId());
    }
  }

  static ApprovalState state(int number) {
    ApprovalState state = ApprovalState.forNumber(number);
    return state == null ? ApprovalState.APPROVAL_STATE_LAPSED : state;
  }

  private AwaitApprovalResponse answered(Approval approval, ApprovalState state) {
    return switch (state) {
      case APPROVAL_STATE_APPROVED -> {
        int taken =
            database.transact(tx ->
                tx.update(
                    "update approval set taken = true where id = ? and state = ? and not taken",
                    approval.getId(),
                    ApprovalState.APPROVAL_STATE_APPROVED_VALUE));
        yield taken == 1
            ? AwaitApprovalResponse.newBuilder().setApproval(approval.getId()).build()
            : refused(EgressReason.EGRESS_REASON_APPROVAL_DENIED, approval.getId());
      }
      case APPROVAL_STATE_DENIED ->
          refused(EgressReason.EGRESS_REASON_APPROVAL_DENIED, approval.getId());
      case APPROVAL_STATE_LAPSED,
          APPROVAL_STATE_WAITING,
          APPROVAL_STATE_UNSPECIFIED,
          UNRECOGNIZED ->
          refused(EgressReason.EGRESS_REASON_APPROVAL_TIMEOUT, approval.getId());
    };
  }

  /** False: somebody has answered meanwhile. */
  private boolean lapse(String tenant, Approval approval, String why) {
    return database.transact(tx -> {
      int lapsed =
          tx.update(
              "update approval set state = ? where id = ? and state = ?",
              ApprovalState.APPROVAL_STATE_LAPSED_VALUE,
              approval.getId(),
              ApprovalState.APPROVAL_STATE_WAITING_VALUE);
      if (lapsed == 1) {
        audit.append(tx, List.of(row(tenant, approval, Verdict.VERDICT_DENIED, "", why)));
        tx.afterCommit(news::raise);
      }
      return lapsed == 1;
    });
  }

  /** Those of a tenant that wait, oldest first. */
  public List<Approval> waiting(String tenant, Optional<String> sandbox) {
    return database.look(tx ->
        tx.list(
            "select request, state from approval where tenant = ? and state = ?"
                + " and expire_time > ? and (? = '' or sandbox = ?)"
                + " order by create_time, id limit ?",
            Approvals::read,
            tenant,
            ApprovalState.APPROVAL_STATE_WAITING_VALUE,
            clock.instant(),
            sandbox.orElse(""),
            sandbox.orElse(""),
            MAX_LISTED));
  }

  /** One of the tenant's, as it is now; one that has waited too long waits no longer. */
  public Optional<Approval> find(String tenant, String id) {
    return database.look(tx ->
        tx.first(
            "select request, case when state = ? and expire_time <= ? then ? else state end"
                + " as state from approval where tenant = ? and id = ?",
            Approvals::read,
            ApprovalState.APPROVAL_STATE_WAITING_VALUE,
            clock.instant(),
            ApprovalState.APPROVAL_STATE_LAPSED_VALUE,
            tenant,
            id));
  }

  /**
   * @param token who answers
   * @param remember how long requests of the same kind need no answer; zero: each needs one
   */
  public Approval answer(
      String tenant, String token, String id, boolean approve, Duration remember) {
    if (remember.isNegative()
        || remember.compareTo(MAX_REMEMBER) > 0
        || (!approve && remember.isPositive())) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "remember is %d s, expected at most %d, and none with a denial"
              .formatted(remember.toSeconds(), MAX_REMEMBER.toSeconds()));
    }
    record Found(Approval approval, ByteString kind) {}

    return database.transact(tx -> {
      Instant now = clock.instant();
      Found found =
          tx.first(
                  "select request, state, kind, expire_time from approval"
                      + " where tenant = ? and id = ? for update",
                  row -> {
                    Approval approval = read(row);
                    boolean waits =
                        approval.getState() == ApprovalState.APPROVAL_STATE_WAITING
                            && now.isBefore(Tx.instant(row, "expire_time"));
                    if (!waits) {
                      throw new Refusal(
                          ErrorReason.ERROR_REASON_APPROVAL_OVER,
                          "approval %s was answered, or its request waits no longer".formatted(id));
                    }
                    return new Found(approval, ByteString.copyFrom(row.getBytes("kind")));
                  },
                  tenant,
                  id)
              .orElseThrow(() ->
                  new Refusal(
                      ErrorReason.ERROR_REASON_APPROVAL_NOT_FOUND,
                      "there is no approval '%s'".formatted(AuditTexts.line(id, 64))));
      ApprovalState state =
          approve ? ApprovalState.APPROVAL_STATE_APPROVED : ApprovalState.APPROVAL_STATE_DENIED;
      tx.update("update approval set state = ? where id = ?", state.getNumber(), id);
      if (remember.isPositive()) {
        tx.update(
            "insert into standing_approval as s (sandbox, kind, approval, expire_time)"
                + " values (?, ?, ?, ?) on conflict (sandbox, kind) do update"
                + " set approval = excluded.approval, expire_time = excluded.expire_time",
            found.approval().getSandbox(),
            found.kind().toByteArray(),
            id,
            now.plus(remember));
      }
      audit.append(
          tx,
          List.of(
              row(
                  tenant,
                  found.approval(),
                  approve ? Verdict.VERDICT_ALLOWED : Verdict.VERDICT_DENIED,
                  token,
                  "%s by token %s%s"
                      .formatted(
                          approve ? "approved" : "denied",
                          token,
                          remember.isPositive()
                              ? ", remembered for %d s".formatted(remember.toSeconds())
                              : ""))));
      tx.afterCommit(news::raise);
      return found.approval().toBuilder().setState(state).build();
    });
  }

  private AuditRow row(
      String tenant, Approval approval, Verdict verdict, String token, String message) {
    return new AuditRow(
        tenant,
        AuditEvent.newBuilder()
            .setType(AuditEventType.AUDIT_EVENT_TYPE_CHANGE)
            .setTime(AuditTexts.timestamp(clock.instant()))
            .setSandbox(approval.getSandbox())
            .setRequest(approval.getRequest())
            .setSecret(String.join(",", approval.getSecretsList()))
            .setHost(approval.getHost())
            .setPort(approval.getPort())
            .setProtocol(approval.getTls() ? "https" : "http")
            .setMethod(approval.getMethod())
            .setPath(approval.getPath())
            .setVerdict(verdict)
            .setApproval(approval.getId())
            .setToken(token)
            .setReportedBy("broker")
            .setCount(1)
            .setMessage(AuditTexts.line(message, 512))
            .build());
  }

  private static Approval read(ResultSet row) throws SQLException {
    try {
      return Approval.parseFrom(row.getBytes("request")).toBuilder()
          .setState(state(row.getInt("state")))
          .build();
    } catch (InvalidProtocolBufferException e) {
      throw new SQLException("approval holds no request", e);
    }
  }

  private static AwaitApprovalResponse refused(EgressReason reason, String approval) {
    return AwaitApprovalResponse.newBuilder().setRefused(reason).setApproval(approval).build();
  }

  private static Refusal notAttached(AwaitApprovalRequest asked, String gateway) {
    return new Refusal(
        ErrorReason.ERROR_REASON_ATTACHMENT_NOT_FOUND,
        "sandbox '%s' is not attached at gateway %s"
            .formatted(AuditTexts.line(asked.getSandbox(), 64), gateway));
  }
}
