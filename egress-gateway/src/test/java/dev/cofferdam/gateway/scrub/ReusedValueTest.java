package dev.cofferdam.gateway.scrub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class ReusedValueTest {
  private static SecretValue filled(int length) {
    SecretValue value = new SecretValue(length);
    for (int i = 0; i < length; i++) {
      value.set(i, (byte) 0x5a);
    }
    return value;
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 256, 257, 4096, 65_536, 65_537, 1 << 20})
  void aClosedOneIsReadNoMoreAndItsMemoryComesBackZeroed(int length) {
    for (int round = 0; round < 3; round++) {
      SecretValue value = filled(length);
      value.close();
      value.close();
      assertThat(value.length()).isEqualTo(length);
      if (length > 0) {
        assertThatThrownBy(() -> value.at(0)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> value.set(0, (byte) 1)).isInstanceOf(IllegalStateException.class);
      }
      try (SecretValue next = new SecretValue(length)) {
        for (int i = 0; i < length; i++) {
          assertThat(next.at(i)).isZero();
        }
      }
    }
  }

  /** More than are kept: those beyond have memory of their own. */
  @Test
  void thoseThatAreOpenAtOnceShareNothing() {
    List<SecretValue> open = new ArrayList<>();
    for (int i = 0; i < 70; i++) {
      SecretValue value = new SecretValue(50_000);
      for (int at = 0; at < value.length(); at += 4999) {
        value.set(at, (byte) i);
      }
      open.add(value);
    }
    for (int i = 0; i < open.size(); i++) {
      assertThat(open.get(i).at(0)).isEqualTo(i);
      assertThat(open.get(i).at(49_990)).isEqualTo(i);
      open.get(i).close();
    }
  }
}
