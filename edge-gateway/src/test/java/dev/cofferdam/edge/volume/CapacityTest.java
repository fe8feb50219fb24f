package dev.cofferdam.edge.volume;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.edge.protocol.HttpError;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class CapacityTest {
  @ParameterizedTest
  @CsvSource({
    "1, 1",
    "67108864, 64",
    "67108865, 65",
    "10GB, 9537",
    "10 GiB, 10240",
    "1.5GiB, 1536",
    "300MB, 287",
    "64MiB, 64",
    "65536KiB, 64",
    "70000kB, 67",
    "1048576B, 1"
  })
  void aCapacityIsNoSmallerThanAsked(String capacity, int mib) throws Exception {
    assertThat(Capacity.mib(capacity)).isEqualTo(mib);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "0",
        "0GB",
        "-1",
        "1e9",
        "10TB",
        "10gb",
        "GB",
        "1.GB",
        "999999999999999999GiB"
      })
  void whatIsNoneIsRefused(String capacity) {
    assertThatThrownBy(() -> Capacity.mib(capacity)).isInstanceOf(HttpError.class);
  }
}
