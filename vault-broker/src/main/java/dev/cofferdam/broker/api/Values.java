package dev.cofferdam.broker.api;

import dev.cofferdam.broker.secret.SecretValue;
import java.util.List;

/** The answer to a materialisation, which owns its values. */
record Values(List<SecretValue> values) implements AutoCloseable {
  Values {
    values = List.copyOf(values);
  }

  @Override
  public void close() {
    values.forEach(SecretValue::close);
  }
}
