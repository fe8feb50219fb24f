package dev.cofferdam.scheduler.store;

import dev.cofferdam.scheduler.cluster.NodeRecords;
import dev.cofferdam.scheduler.cluster.NodeRegistration;
import dev.cofferdam.scheduler.cluster.Standing;
import dev.cofferdam.scheduler.placement.NodeView;
import dev.cofferdam.scheduler.sandbox.EventDraft;
import dev.cofferdam.scheduler.sandbox.Isolation;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Every node that has registered, so that a restart knows how to reach what runs there. */
public final class NodeStore implements NodeRecords {
  private final Database database;
  private final EventStore events;

  public NodeStore(Database database, EventStore events) {
    this.database = database;
    this.events = events;
  }

  /**
   * How a node stands.
   *
   * @param gone when its stream ended; empty while it is open, and where that was not seen
   */
  public record Stand(String node, Standing standing, Optional<Instant> gone) {}

  public List<Stand> stands() {
    return database.read(connection -> {
      try (PreparedStatement statement =
              connection.prepareStatement("select name, standing, gone_time from nodes");
          ResultSet rows = statement.executeQuery()) {
        List<Stand> stands = new ArrayList<>();
        while (rows.next()) {
          stands.add(
              new Stand(
                  rows.getString("name"),
                  Standing.valueOf(rows.getString("standing")),
                  SandboxRows.optionalInstant(rows, "gone_time")));
        }
        return stands;
      }
    });
  }

  /**
   * False when it no longer stands at {@code from}; nothing was stored.
   *
   * @param event of each live sandbox of the node, stored in the same transaction
   */
  public boolean move(String node, Standing from, Standing to, Optional<EventDraft> event) {
    List<String> tenants = new ArrayList<>();
    boolean moved =
        database.transact(connection -> {
          try (PreparedStatement statement =
              connection.prepareStatement(
                  "update nodes set standing = ? where name = ? and standing = ?")) {
            statement.setString(1, to.name());
            statement.setString(2, node);
            statement.setString(3, from.name());
            if (statement.executeUpdate() == 0) {
              return false;
            }
          }
          if (event.isPresent()) {
            tenants.addAll(tell(connection, node, event.get()));
          }
          return true;
        });
    tenants.forEach(events::announce);
    return moved;
  }

  /** Returns the tenants that are concerned. */
  private static List<String> tell(Connection connection, String node, EventDraft event)
      throws SQLException {
    List<String> tenants = new ArrayList<>();
    try (PreparedStatement statement =
        connection.prepareStatement(
            "select distinct tenant from sandboxes where node = ?"
                + " and state in ('RUNNING', 'PAUSED', 'SUSPENDED') order by tenant")) {
      statement.setString(1, node);
      try (ResultSet rows = statement.executeQuery()) {
        while (rows.next()) {
          tenants.add(rows.getString("tenant"));
        }
      }
    }
    // In one order, so that no two of these wait for each other.
    for (String tenant : tenants) {
      EventStore.lock(connection, tenant);
      try (PreparedStatement statement =
          connection.prepareStatement(
              "insert into sandbox_events (tenant, sandbox, kind, message, time)"
                  + " select tenant, id, ?, ?, ? from sandboxes where node = ? and tenant = ?"
                  + " and state in ('RUNNING', 'PAUSED', 'SUSPENDED') order by id")) {
        statement.setString(1, event.kind().name());
        statement.setString(2, event.message());
        SandboxRows.setInstant(statement, 3, event.time());
        statement.setString(4, node);
        statement.setString(5, tenant);
        statement.executeUpdate();
      }
    }
    return tenants;
  }

  @Override
  public Set<String> draining() {
    return database.read(connection -> {
      try (PreparedStatement statement =
              connection.prepareStatement("select name from nodes where draining");
          ResultSet rows = statement.executeQuery()) {
        Set<String> names = new HashSet<>();
        while (rows.next()) {
          names.add(rows.getString("name"));
        }
        return names;
      }
    });
  }

  @Override
  public void drain(String node, boolean draining) {
    database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement("update nodes set draining = ? where name = ?")) {
        statement.setBoolean(1, draining);
        statement.setString(2, node);
        return statement.executeUpdate();
      }
    });
  }

  @Override
  public void left(String node, Instant now) {
    database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement("update nodes set gone_time = ? where name = ?")) {
        SandboxRows.setInstant(statement, 1, now);
        statement.setString(2, node);
        return statement.executeUpdate();
      }
    });
  }

  @Override
  public List<NodeRegistration> all() {
    return database.read(connection -> {
      try (PreparedStatement statement =
              connection.prepareStatement("select * from nodes order by name");
          ResultSet rows = statement.executeQuery()) {
        List<NodeRegistration> nodes = new ArrayList<>();
        while (rows.next()) {
          nodes.add(
              new NodeRegistration(
                  rows.getString("name"),
                  rows.getString("address"),
                  new NodeView.Limit(
                      rows.getInt("vcpus"), rows.getInt("memory_mib"), rows.getInt("disk_mib")),
                  rows.getInt("slots"),
                  new HashSet<>(SandboxRows.texts(rows, "templates")),
                  Isolation.parse(rows.getString("isolation")),
                  rows.getString("hypervisor"),
                  rows.getString("slot_prefix")));
        }
        return nodes;
      }
    });
  }

  @Override
  public void put(NodeRegistration node, Instant now) {
    database.read(connection -> {
      try (PreparedStatement statement =
          connection.prepareStatement(
              """
              insert into nodes (name, address, vcpus, memory_mib, disk_mib, slots, templates,
                isolation, hypervisor, slot_prefix, register_time)
              values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
              on conflict (name) do update set address = excluded.address, vcpus = excluded.vcpus,
                memory_mib = excluded.memory_mib, disk_mib = excluded.disk_mib,
                slots = excluded.slots, templates = excluded.templates,
                isolation = excluded.isolation, hypervisor = excluded.hypervisor,
                slot_prefix = excluded.slot_prefix, register_time = excluded.register_time,
                gone_time = null,
                standing = case when nodes.standing in ('LOSING', 'LOST') then 'RETURNING'
                  else nodes.standing end
              """)) {
        int index = 1;
        statement.setString(index++, node.name());
        statement.setString(index++, node.address());
        statement.setInt(index++, node.limit().vcpus());
        statement.setInt(index++, node.limit().memoryMib());
        statement.setInt(index++, node.limit().diskMib());
        statement.setInt(index++, node.slots());
        statement.setArray(
            index++, SandboxRows.texts(connection, node.templates().stream().sorted().toList()));
        statement.setString(index++, node.isolation().wireName());
        statement.setString(index++, node.hypervisor());
        statement.setString(index++, node.slotPrefix());
        SandboxRows.setInstant(statement, index, now);
        return statement.executeUpdate();
      }
    });
  }
}
