package dev.cofferdam.node.slot;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SlotPrefixTest {
  @Test
  void slotsAreCountedFromTheFirstAddress() {
    SlotPrefix prefix = SlotPrefix.parse("100.80.0.0/16");
    assertThat(prefix.address(1)).isEqualTo("100.80.0.1");
    assertThat(prefix.address(256)).isEqualTo("100.80.1.0");
    assertThat(prefix.address(65_534)).isEqualTo("100.80.255.254");
    assertThat(prefix).hasToString("100.80.0.0/16");
    assertThatThrownBy(() -> prefix.address(65_535)).hasMessageContaining("expected 1 to 65534");
    assertThatThrownBy(() -> prefix.address(0)).isInstanceOf(IllegalArgumentException.class);
    assertThat(SlotPrefix.parse("200.1.2.4/30").capacity()).isEqualTo(2);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "10.0.0.0", "10.0.0.0/31", "10.0.0.1/24", "10.0.0.256/24", "::/64"})
  void whatIsNoRangeIsRefused(String cidr) {
    assertThatThrownBy(() -> SlotPrefix.parse(cidr)).isInstanceOf(IllegalArgumentException.class);
  }
}
