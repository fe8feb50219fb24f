package dev.cofferdam.broker.tenant;

import dev.cofferdam.broker.sql.Database;
import dev.cofferdam.broker.sql.Tx;
import dev.cofferdam.kit.call.Caller;
import dev.cofferdam.kit.call.TokenHashes;
import dev.cofferdam.kit.call.TokenVerifier;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.ErrorReason;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Tokens in the broker's own database. Removing one is in force with the next call. */
public final class Tokens implements TokenVerifier {
  private static final int HASH_LENGTH = 32;
  private static final String COLUMNS = "id, tenant, scopes, create_time";

  private final Database database;
  private final InstantSource clock;

  public Tokens(Database database, InstantSource clock) {
    this.database = database;
    this.clock = clock;
  }

  @Override
  public Optional<Caller.Tenant> verify(String token) {
    byte[] hash = TokenHashes.sha256(token);
    return database
        .look(tx ->
            tx.first("select " + COLUMNS + " from api_token where sha256 = ?", Tokens::read, hash))
        .map(found -> new Caller.Tenant(found.tenant(), Set.copyOf(found.scopes()), found.id()));
  }

  /** Registering the same again changes nothing. */
  public Token register(String id, String tenant, List<String> scopes, byte[] sha256) {
    Token token = new Token(id, tenant, scopes, clock.instant());
    if (sha256.length != HASH_LENGTH) {
      throw new Refusal(
          ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
          "sha256 has %d bytes, expected %d".formatted(sha256.length, HASH_LENGTH));
    }
    return database.transact(tx -> {
      int added =
          tx.update(
              "insert into api_token (id, tenant, scopes, sha256, create_time)"
                  + " values (?, ?, ?, ?, ?) on conflict do nothing",
              id,
              tenant,
              token.scopes(),
              sha256,
              token.createTime());
      if (added == 1) {
        return token;
      }
      return tx.first(
              "select " + COLUMNS + " from api_token where id = ? and tenant = ? and sha256 = ?",
              Tokens::read,
              id,
              tenant,
              sha256)
          .filter(present -> present.scopes().equals(token.scopes()))
          .orElseThrow(() ->
              new Refusal(
                  ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
                  "another token has the id " + id + " or the same hash"));
    });
  }

  /** Oldest first. */
  public List<Token> list(Optional<String> tenant) {
    return database.transact(tx ->
        tx.list(
            "select "
                + COLUMNS
                + " from api_token where ? = '' or tenant = ? order by create_time, id",
            Tokens::read,
            tenant.orElse(""),
            tenant.orElse("")));
  }

  /** One that is not there is removed already. */
  public void remove(String id) {
    var _ = database.transact(tx -> tx.update("delete from api_token where id = ?", id));
  }

  private static Token read(ResultSet row) throws SQLException {
    return new Token(
        row.getString("id"),
        row.getString("tenant"),
        Tx.texts(row, "scopes"),
        Tx.instant(row, "create_time"));
  }
}
