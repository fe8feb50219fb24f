package dev.cofferdam.scheduler.store;

import dev.cofferdam.scheduler.cluster.NodeRecords;
import dev.cofferdam.scheduler.cluster.NodeRegistration;
import dev.cofferdam.scheduler.placement.NodeView;
import dev.cofferdam.scheduler.sandbox.Isolation;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;

/** Every node that has registered, so that a restart knows how to reach what runs there. */
public final class NodeStore implements NodeRecords {
  private final Database database;

  public NodeStore(Database database) {
    this.database = database;
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
                slot_prefix = excluded.slot_prefix, register_time = excluded.register_time
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
