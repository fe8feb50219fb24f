package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.audit.AuditLog;
import dev.cofferdam.broker.audit.AuditRow;
import dev.cofferdam.broker.audit.AuditTexts;
import dev.cofferdam.broker.catalog.KnownSecrets;
import dev.cofferdam.broker.grant.MaterialiseRequest.Found;
import dev.cofferdam.broker.grant.Outcome.Denial;
import dev.cofferdam.broker.grant.Outcome.Release;
import dev.cofferdam.broker.oauth.AccessTokens;
import dev.cofferdam.broker.oauth.TokenException;
import dev.cofferdam.broker.policy.Hmac;
import dev.cofferdam.broker.policy.OAuth;
import dev.cofferdam.broker.secret.SecretValue;
import dev.cofferdam.broker.secret.StoreUnavailableException;
import dev.cofferdam.broker.secret.ValueCache;
import dev.cofferdam.broker.sign.Aws4;
import dev.cofferdam.broker.sign.HmacSigner;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.GroupCommit;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.AccessTokenSource;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.Verdict;
import io.grpc.Context;
import java.sql.SQLException;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The one place where values are handed out. The check and the record are one transaction, grouped
 * with whatever else is waiting; only after its commit is any value looked at.
 */
public final class Materialiser implements AutoCloseable {
  /** Key of the refusal's metadata that carries the {@link EgressReason}, without its prefix. */
  public static final String EGRESS_REASON = "egress_reason";

  private static final Logger log = LoggerFactory.getLogger(Materialiser.class);
  private static final String REASON_PREFIX = "EGRESS_REASON_";

  private final Database database;
  private final AuditLog audit;
  private final ValueCache values;
  private final AccessTokens tokens;
  private final InstantSource clock;

  /** The committing thread's alone. */
  private final KnownSecrets secrets = new KnownSecrets();

  private final GroupCommit<MaterialiseRequest, Outcome> commits;

  public Materialiser(
      Database database,
      AuditLog audit,
      ValueCache values,
      AccessTokens tokens,
      InstantSource clock) {
    this.database = database;
    this.audit = audit;
    this.values = values;
    this.tokens = tokens;
    this.clock = clock;
    this.commits = new GroupCommit<>("materialise", database, this::decide);
  }

  /**
   * The values, in the order of the uses, which the caller closes.
   *
   * @throws Refusal with the egress reason as metadata; nothing is handed out then
   */
  public List<SecretValue> materialise(MaterialiseRequest request) throws InterruptedException {
    Context call = Context.current();
    return switch (commits.submit(request, call::isCancelled)) {
      case Outcome.Refused refused -> throw refusal(refused.reason());
      case Outcome.Released released -> fetch(request, released);
    };
  }

  @Override
  public void close() {
    commits.close();
  }

  private List<Outcome> decide(Tx tx, List<MaterialiseRequest> requests) throws SQLException {
    Ledger ledger =
        Ledger.read(
            tx,
            secrets,
            requests.stream().map(MaterialiseRequest::sandbox).distinct().sorted().toList(),
            clock.instant());
    List<Outcome> outcomes = requests.stream().map(ledger::decide).toList();
    ledger.write(tx);
    List<AuditRow> rows = new ArrayList<>();
    for (int i = 0; i < outcomes.size(); i++) {
      rows.addAll(rows(requests.get(i), outcomes.get(i), "", clock.instant()));
    }
    audit.appendAndCommit(tx, rows);
    return outcomes;
  }

  private List<SecretValue> fetch(MaterialiseRequest request, Outcome.Released released)
      throws InterruptedException {
    List<SecretValue> fetched = new ArrayList<>();
    long end = System.nanoTime() + tokens.patience().toNanos();
    try {
      for (Release release : released.releases()) {
        fetched.add(handedOut(request, released.tenant(), release, end));
      }
      return fetched;
    } catch (StoreUnavailableException e) {
      notHandedOut(request, released, fetched, EgressReason.EGRESS_REASON_STORE_UNAVAILABLE, "");
      throw new Refusal(
          ErrorReason.ERROR_REASON_STORE_UNAVAILABLE,
          "the use is on record but its value cannot be had: " + e.getMessage(),
          Map.of(EGRESS_REASON, "STORE_UNAVAILABLE"));
    } catch (TokenException e) {
      EgressReason reason =
          e.refused()
              ? EgressReason.EGRESS_REASON_TOKEN_REFUSED
              : EgressReason.EGRESS_REASON_TOKEN_UNAVAILABLE;
      // What exactly is for the owner alone: the guest has no part in it.
      notHandedOut(request, released, fetched, reason, String.valueOf(e.getMessage()));
      throw refusal(reason);
    } catch (InterruptedException | RuntimeException | Error e) {
      // Native memory that runs out is an Error.
      notHandedOut(request, released, fetched, EgressReason.EGRESS_REASON_INTERNAL, "");
      throw e;
    }
  }

  /** The value, or what was made with one that nobody else may see. */
  private SecretValue handedOut(
      MaterialiseRequest request, String tenant, Release release, long end)
      throws InterruptedException {
    if (release.oauth().isPresent()) {
      OAuth client = release.oauth().get();
      return tokens.get(
          release.key(), client, end, () -> sentForToken(request, tenant, release, client));
    }
    SecretValue value = values.get(release.key());
    if (release.found().signing().isEmpty()) {
      return value;
    }
    try (value) {
      return switch (release.found().signing().get()) {
        case Aws4Signing aws4 -> Aws4.sign(aws4.input(request.method()), value);
        case HmacSigning hmac -> {
          Hmac by = release.hmac().orElseThrow();
          yield HmacSigner.sign(by, hmac.input(by, request.method(), clock.instant()), value);
        }
      };
    }
  }

  /** The client's secret is a value like any: its use is on record before it leaves. */
  private void sentForToken(
      MaterialiseRequest request, String tenant, Release release, OAuth client) {
    AuditEvent event =
        event(request, release.found(), release.key().name(), clock.instant())
            .setHost(client.host())
            .setPort(client.port())
            .setProtocol("https")
            .setMethod("POST")
            .setPath(AuditTexts.path(client.path()))
            .setTarget("oauth:token")
            .setVerdict(Verdict.VERDICT_ALLOWED)
            .setMessage("the client's secret, for an access token")
            .build();
    database.transact(tx -> {
      audit.appendAndCommit(tx, List.of(new AuditRow(tenant, event)));
      return event;
    });
  }

  /** The record said allowed before the store was asked; what became of it follows. */
  private void notHandedOut(
      MaterialiseRequest request,
      Outcome.Released released,
      List<SecretValue> fetched,
      EgressReason reason,
      String why) {
    fetched.forEach(SecretValue::close);
    Outcome became =
        new Outcome.Refused(
            released.tenant(),
            reason,
            released.releases().stream()
                .map(release -> new Denial(release.found(), release.key().name(), reason))
                .toList());
    List<AuditRow> rows = rows(request, became, why, clock.instant());
    try {
      database.transact(tx -> {
        audit.appendAndCommit(tx, rows);
        return became;
      });
    } catch (Refusal e) {
      // A record that claims too much is safe, and the store's failure is the one to tell.
      log.atWarn()
          .setMessage("not_on_record_as_withheld")
          .addKeyValue("sandbox", request.sandbox())
          .addKeyValue("request", request.request())
          .addKeyValue("why", e.getMessage())
          .log();
    }
  }

  /**
   * @param why for people, of a refusal
   */
  private List<AuditRow> rows(
      MaterialiseRequest request, Outcome outcome, String why, Instant time) {
    return switch (outcome) {
      case Outcome.Released released ->
          released.releases().stream()
              .map(release ->
                  new AuditRow(
                      released.tenant(),
                      event(request, release.found(), release.key().name(), time)
                          .setVerdict(Verdict.VERDICT_ALLOWED)
                          .setMessage(release.inherited() ? "by an inherited placeholder" : "")
                          .setAccessToken(source(release))
                          .build()))
              .toList();
      case Outcome.Refused refused ->
          refused.denials().stream()
              .map(denial ->
                  new AuditRow(
                      refused.tenant(),
                      event(request, denial.found(), denial.secret(), time)
                          .setVerdict(Verdict.VERDICT_DENIED)
                          .setReason(denial.reason())
                          .setMessage(AuditTexts.line(why, 512))
                          .build()))
              .toList();
    };
  }

  private AccessTokenSource source(Release release) {
    if (release.oauth().isEmpty()) {
      return AccessTokenSource.ACCESS_TOKEN_SOURCE_UNSPECIFIED;
    }
    return tokens.has(release.key(), release.found().unauthorised())
        ? AccessTokenSource.ACCESS_TOKEN_SOURCE_CACHE
        : AccessTokenSource.ACCESS_TOKEN_SOURCE_ENDPOINT;
  }

  private static AuditEvent.Builder event(
      MaterialiseRequest request, Found found, String secret, Instant time) {
    return AuditEvent.newBuilder()
        .setType(AuditEventType.AUDIT_EVENT_TYPE_USE)
        .setTime(AuditTexts.timestamp(time))
        .setSandbox(AuditTexts.line(request.sandbox(), 63))
        .setRequest(AuditTexts.line(request.request(), 64))
        .setSecret(secret)
        .setHost(AuditTexts.line(request.host(), 253))
        .setPort(request.port())
        .setProtocol(request.tls() ? "https" : "http")
        .setMethod(AuditTexts.line(request.method(), 32))
        .setPath(AuditTexts.path(request.path()))
        .setTarget(AuditTexts.line(found.target(), 300))
        .setReportedBy("broker")
        .setCount(1);
  }

  private static Refusal refusal(EgressReason reason) {
    String name = reason.name().substring(REASON_PREFIX.length());
    ErrorReason error =
        switch (reason) {
          case EGRESS_REASON_GRANT_REVOKED -> ErrorReason.ERROR_REASON_GRANT_REVOKED;
          case EGRESS_REASON_GRANT_SUSPENDED -> ErrorReason.ERROR_REASON_GRANT_SUSPENDED;
          case EGRESS_REASON_UNKNOWN_SLOT -> ErrorReason.ERROR_REASON_ATTACHMENT_NOT_FOUND;
          case EGRESS_REASON_LEARNING -> ErrorReason.ERROR_REASON_LEARNING;
          case EGRESS_REASON_SECRET_EXPIRED -> ErrorReason.ERROR_REASON_SECRET_EXPIRED;
          case EGRESS_REASON_TOKEN_REFUSED -> ErrorReason.ERROR_REASON_TOKEN_REFUSED;
          case EGRESS_REASON_TOKEN_UNAVAILABLE -> ErrorReason.ERROR_REASON_TOKEN_UNAVAILABLE;
          case EGRESS_REASON_SIGNATURE_DATE -> ErrorReason.ERROR_REASON_SIGNATURE_DATE;
          case EGRESS_REASON_PLACEHOLDER_TOO_OFTEN, EGRESS_REASON_CAP_EXCEEDED ->
              ErrorReason.ERROR_REASON_CAP_EXCEEDED;
          default -> ErrorReason.ERROR_REASON_BINDING_INVALID;
        };
    return new Refusal(error, "no value for this request: " + name, Map.of(EGRESS_REASON, name));
  }
}
