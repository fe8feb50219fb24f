package dev.cofferdam.scheduler.store;

import dev.cofferdam.kit.call.Caller;
import dev.cofferdam.kit.call.TokenHashes;
import dev.cofferdam.kit.call.TokenVerifier;
import dev.cofferdam.scheduler.tenant.Scope;
import dev.cofferdam.scheduler.tenant.TokenRecord;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Tokens by hash. Read afresh for every call, so that a token that was removed is refused from the
 * next call on. Safe for use by several threads.
 */
public final class TokenStore implements TokenVerifier {
  /** What came of {@link #register}. */
  public sealed interface Registration {
    /** Stored, or there already with the same content. */
    record Registered(TokenRecord token) implements Registration {}

    /** The id or the hash belongs to another token; nothing was changed. */
    record Taken() implements Registration {}
  }

  private final Database database;
  private final PortKeyStore portKeys;
  private final SshKeyStore sshKeys;

  public TokenStore(Database database, PortKeyStore portKeys, SshKeyStore sshKeys) {
    this.database = database;
    this.portKeys = portKeys;
    this.sshKeys = sshKeys;
  }

  @Override
  public Optional<Caller.SshSession> sshSession(String credential) {
    return sshKeys.caller(TokenHashes.sha256(credential));
  }

  @Override
  public Optional<Caller.PortKey> portKey(String key) {
    return portKeys.caller(TokenHashes.sha256(key));
  }

  @Override
  public Optional<Caller.Tenant> verify(String token) {
    byte[] sha256 = TokenHashes.sha256(token);
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement("select id, tenant, scopes from tokens where sha256 = ?")) {
        statement.setBytes(1, sha256);
        try (ResultSet rows = statement.executeQuery()) {
          return rows.next()
              ? Optional.of(
                  new Caller.Tenant(
                      rows.getString("tenant"),
                      new HashSet<>(SandboxRows.texts(rows, "scopes")),
                      rows.getString("id")))
              : Optional.empty();
        }
      }
    });
  }

  public Registration register(TokenRecord token, byte[] sha256) {
    return database.transact(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "insert into tokens (id, tenant, scopes, sha256, create_time)"
                  + " values (?, ?, ?, ?, ?) on conflict do nothing")) {
        statement.setString(1, token.id());
        statement.setString(2, token.tenant());
        statement.setArray(3, SandboxRows.texts(connection, token.scopeNames()));
        statement.setBytes(4, sha256);
        SandboxRows.setInstant(statement, 5, token.createTime());
        if (statement.executeUpdate() == 1) {
          return new Registration.Registered(token);
        }
      }
      return existing(connection, token, sha256)
          .<Registration>map(Registration.Registered::new)
          .orElseGet(Registration.Taken::new);
    });
  }

  /** By id. An empty tenant means all. */
  public List<TokenRecord> list(String tenant) {
    return database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              "select id, tenant, scopes, create_time from tokens where ? = '' or tenant = ?"
                  + " order by id")) {
        statement.setString(1, tenant);
        statement.setString(2, tenant);
        List<TokenRecord> tokens = new ArrayList<>();
        try (ResultSet rows = statement.executeQuery()) {
          while (rows.next()) {
            tokens.add(record(rows));
          }
        }
        return tokens;
      }
    });
  }

  /** Removing one that is not there succeeds. */
  public void remove(String id) {
    database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement("delete from tokens where id = ?")) {
        statement.setString(1, id);
        return statement.executeUpdate();
      }
    });
  }

  private static Optional<TokenRecord> existing(
      Connection connection, TokenRecord token, byte[] sha256) throws SQLException {
    try (PreparedStatement statement =
        connection.prepareStatement(
            "select id, tenant, scopes, create_time, sha256 from tokens where id = ?")) {
      statement.setString(1, token.id());
      try (ResultSet rows = statement.executeQuery()) {
        if (!rows.next() || !Arrays.equals(rows.getBytes("sha256"), sha256)) {
          return Optional.empty();
        }
        TokenRecord stored = record(rows);
        return stored.tenant().equals(token.tenant()) && stored.scopes().equals(token.scopes())
            ? Optional.of(stored)
            : Optional.empty();
      }
    }
  }

  private static TokenRecord record(ResultSet row) throws SQLException {
    Set<Scope> scopes = EnumSet.noneOf(Scope.class);
    for (String name : SandboxRows.texts(row, "scopes")) {
      scopes.add(
          Scope.of(name).orElseThrow(() -> new SQLException("unknown scope " + name, "XX001")));
    }
    return new TokenRecord(
        row.getString("id"),
        row.getString("tenant"),
        scopes,
        SandboxRows.instant(row, "create_time"));
  }
}
