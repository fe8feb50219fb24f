package dev.cofferdam.broker.grant;

import dev.cofferdam.broker.policy.Policies;
import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.ErrorReason;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Egress sessions: what is a sandbox to grants, gateways and the audit, but runs on no node and is
 * known at explicit proxies by a token. Its tenant asks for it here, and nobody else hears of it.
 */
public final class Sessions {
  /** No sandbox has an id that begins so. */
  static final String PREFIX = "es-";

  /** In the place of a node's instance. */
  static final String NODE = "explicit-proxy";

  static final int MAX_PER_TENANT = 256;

  private static final Duration SHORTEST = Duration.ofSeconds(10);
  private static final Duration LONGEST = Duration.ofHours(24);
  private static final Duration ACKNOWLEDGE = Duration.ofSeconds(5);

  /** Ended in one transaction. */
  private static final int BATCH = 100;

  private final Database database;
  private final NewGrants newGrants;
  private final Grants grants;
  private final Attachments attachments;
  private final InstantSource clock;
  private final RandomTokens tokens;

  public Sessions(
      Database database,
      NewGrants newGrants,
      Grants grants,
      Attachments attachments,
      InstantSource clock,
      RandomTokens tokens) {
    this.database = database;
    this.newGrants = newGrants;
    this.grants = grants;
    this.attachments = attachments;
    this.clock = clock;
    this.tokens = tokens;
  }

  /**
   * An explicit proxy.
   *
   * @param address host:port, at most 261 characters
   */
  public record Proxy(String address, boolean tls) {
    public Proxy {
      if (!address.matches("[!-~]{1,255}:[0-9]{1,5}")) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
            "the address of the explicit proxy is no host:port");
      }
    }
  }

  /** Who it is and for how long. */
  public record Term(String id, Instant created, Instant expires) {}

  /**
   * The only moment at which token and placeholders exist outside the program in clear.
   *
   * @param rootCertificate PEM
   * @param proxies where it is in force
   */
  public record Created(
      Term term,
      Map<String, String> placeholders,
      String token,
      String rootCertificate,
      List<Proxy> proxies) {
    public Created {
      proxies = List.copyOf(proxies);
    }

    @Override
    public String toString() {
      return "Created[%s, %s]".formatted(term, placeholders.keySet());
    }
  }

  /** In force, once it returns, at the gateways whose proxies it names. */
  public Created create(
      String tenant, List<SandboxGrants.Wish> wishes, EgressPolicy policy, Duration lifetime)
      throws InterruptedException {
    Instant now = clock.instant();
    Term term = new Term(tokens.id(PREFIX), now, end(now, lifetime));
    String token = tokens.proxyToken();
    SandboxGrants wanted = new SandboxGrants(term.id(), NODE, 0, wishes, Optional.empty());
    // Before anything is held.
    var _ = Policies.of(policy);
    Attached attached =
        database.transact(tx -> {
          checkQuota(tx, tenant, now);
          Map<String, Proxy> proxies = proxies(tx);
          Map<String, String> placeholders = new LinkedHashMap<>();
          Sandbox sandbox =
              newGrants.beginSession(
                  tx, tenant, wanted, policy, token, term.expires(), placeholders);
          Map<String, Long> sequences = new TreeMap<>();
          String address = tokens.discardAddress();
          for (String gateway : proxies.keySet()) {
            sequences.put(gateway, Places.attach(tx, gateway, sandbox, address).sequence());
          }
          tx.afterCommit(attachments.news()::raise);
          return new Attached(placeholders, Lineages.pem(sandbox.root()), proxies, sequences);
        });
    List<String> missing =
        attachments.awaitAcknowledged(term.id(), attached.sequences(), ACKNOWLEDGE);
    List<Proxy> inForce =
        attached.proxies().entrySet().stream()
            .filter(proxy -> !missing.contains(proxy.getKey()))
            .map(Map.Entry::getValue)
            .toList();
    if (inForce.isEmpty()) {
      delete(tenant, term.id());
      throw noProxy();
    }
    return new Created(term, attached.placeholders(), token, attached.root(), inForce);
  }

  private record Attached(
      Map<String, String> placeholders,
      String root,
      Map<String, Proxy> proxies,
      Map<String, Long> sequences) {}

  /** In the order of the gateways, in which their rows are locked. */
  private static Map<String, Proxy> proxies(Tx tx) throws SQLException {
    Map<String, Proxy> proxies = new TreeMap<>();
    var _ =
        tx.list(
            "select instance, proxy_address, proxy_tls from gateway where proxy_address <> ''",
            row ->
                proxies.put(
                    row.getString("instance"),
                    new Proxy(row.getString("proxy_address"), row.getBoolean("proxy_tls"))));
    if (proxies.isEmpty()) {
      throw noProxy();
    }
    return proxies;
  }

  private static void checkQuota(Tx tx, String tenant, Instant now) throws SQLException {
    // One create of a tenant after the other, or two would find the last place.
    var _ = tx.list("select pg_advisory_xact_lock(hashtext(?))", _ -> "", "session of " + tenant);
    long there =
        tx.only(
            "select count(*) from sandbox where tenant = ? and expire_time > ?"
                + " and revoke_time is null",
            row -> row.getLong(1),
            tenant,
            now);
    if (there >= MAX_PER_TENANT) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_QUOTA_EXCEEDED,
          "the tenant has %d egress sessions, expected fewer than %d"
              .formatted(there, MAX_PER_TENANT));
    }
  }

  /** Puts its end off, or forward. */
  public Term extend(String tenant, String id, Duration lifetime) {
    Instant now = clock.instant();
    Instant expires = end(now, lifetime);
    return database.transact(tx -> {
      if (lock(tx, tenant, id).filter(session -> !session.ended(now)).isEmpty()) {
        throw new Refusal(
            ErrorReason.ERROR_REASON_SANDBOX_NOT_FOUND,
            "there is no egress session '%s', or it has ended".formatted(id));
      }
      return tx.only(
          "update sandbox set expire_time = ? where id = ? returning create_time",
          row -> new Term(id, Tx.instant(row, "create_time"), expires),
          expires,
          id);
    });
  }

  /** Ends it for good. One that is not known has ended already. */
  public void delete(String tenant, String id) {
    database.transact(tx -> {
      Optional<Sandbox> found = lock(tx, tenant, id).filter(session -> !session.revoked());
      if (found.isPresent()) {
        grants.end(tx, found.get());
      }
      return id;
    });
  }

  private static Optional<Sandbox> lock(Tx tx, String tenant, String id) throws SQLException {
    return Sandbox.lock(tx, id)
        .filter(found -> found.tenant().equals(tenant) && found.session().isPresent());
  }

  /** Ends those whose time is over. Any number of brokers may do so at once. */
  public void endExpired() {
    int ended;
    do {
      ended =
          database.transact(tx -> {
            List<String> over =
                tx.list(
                    "select id from sandbox where expire_time <= ? and revoke_time is null"
                        + " order by id limit ? for update skip locked",
                    row -> row.getString(1),
                    clock.instant(),
                    BATCH);
            for (String id : over) {
              grants.end(tx, Sandbox.lock(tx, id).orElseThrow());
            }
            return over.size();
          });
    } while (ended == BATCH);
  }

  private static Instant end(Instant now, Duration lifetime) {
    if (lifetime.compareTo(SHORTEST) < 0 || lifetime.compareTo(LONGEST) > 0) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "the lifetime is %s, expected %s to %s".formatted(lifetime, SHORTEST, LONGEST));
    }
    return now.plus(lifetime);
  }

  private static Refusal noProxy() {
    return new Refusal(
        ErrorReason.ERROR_REASON_GATEWAY_UNAVAILABLE,
        "no gateway with an explicit proxy is there: set proxy.listen of one");
  }
}
