package dev.cofferdam.edge.secret;

import java.util.List;

/**
 * What a create's header says, with the secrets' values apart: the rest is ordinary text in which
 * each value is empty. Whoever has it closes it, which zeroes the values.
 *
 * @param text JSON of ASCII and Latin-1 characters
 * @param values in the order in which they stood
 */
public record CarriedConfig(String text, List<HeldValue> values) implements AutoCloseable {
  public CarriedConfig {
    values = List.copyOf(values);
  }

  @Override
  public void close() {
    values.forEach(HeldValue::close);
  }

  @Override
  public String toString() {
    return "CarriedConfig[" + values.size() + " values]";
  }
}
