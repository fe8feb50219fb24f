package dev.cofferdam.kit.call;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class ExposedHostTest {
  private static final String SANDBOX = "sb-abcdefghij234567abcd";

  @Test
  void eachIsALabelOfItsOwnThatNamesItsSandbox() {
    Random random = new Random(1);
    Set<ExposedHost> seen = new HashSet<>();
    for (int i = 0; i < 1000; i++) {
      ExposedHost host = ExposedHost.random(SANDBOX, random);
      assertThat(host.label()).matches("[a-z2-7]{12}-abcdefghij234567abcd");
      assertThat(host.sandbox()).isEqualTo(SANDBOX);
      assertThat(host.key()).isEqualTo("cfk_host-" + host.label());
      assertThat(ExposedHost.of(host.label())).contains(host);
      assertThat(seen.add(host)).isTrue();
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "-",
        "abcdefghijkl",
        "abcdefghijk-abcdefghij234567abcd",
        "abcdefghijklm-abcdefghij234567abcd",
        "abcdefghijkl-abcdefghij234567abc",
        "abcdefghijkl-abcdefghij234567abcd2",
        "ABCDEFGHIJKL-abcdefghij234567abcd",
        "abcdefghijk1-abcdefghij234567abcd",
        "abcdef-ghijk-abcdefghij234567abcd",
        "abcdefghijkl.abcdefghij234567abcd",
        "abcdefghijkl-abcdefghij234567abcd\n",
      })
  void whatCanBeNone(String label) {
    assertThat(ExposedHost.of(label)).isEmpty();
    assertThatThrownBy(() -> new ExposedHost(label)).isInstanceOf(IllegalArgumentException.class);
  }
}
