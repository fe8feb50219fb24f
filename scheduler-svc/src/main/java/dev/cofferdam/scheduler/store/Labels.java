package dev.cofferdam.scheduler.store;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Labels as two arrays, of keys and of values: no JSON has to be read or written on this side. */
final class Labels {
  /** Columns that {@link #read} reads. */
  static final String COLUMNS =
      """
      array(select key from jsonb_each_text(labels) order by key) as label_keys,
      array(select value from jsonb_each_text(labels) order by key) as label_values
      """;

  private Labels() {}

  /** Sets both parameters of a {@code jsonb_object(?, ?)} and returns the next index. */
  static int set(
      Connection connection, PreparedStatement statement, int index, Map<String, String> labels)
      throws SQLException {
    List<String> keys = new ArrayList<>();
    List<String> values = new ArrayList<>();
    labels.forEach((key, value) -> {
      keys.add(key);
      values.add(value);
    });
    statement.setArray(index, SandboxRows.texts(connection, keys));
    statement.setArray(index + 1, SandboxRows.texts(connection, values));
    return index + 2;
  }

  static Map<String, String> read(ResultSet row) throws SQLException {
    List<String> keys = SandboxRows.texts(row, "label_keys");
    List<String> values = SandboxRows.texts(row, "label_values");
    Map<String, String> labels = new LinkedHashMap<>();
    for (int i = 0; i < keys.size(); i++) {
      labels.put(keys.get(i), values.get(i));
    }
    return labels;
  }
}
