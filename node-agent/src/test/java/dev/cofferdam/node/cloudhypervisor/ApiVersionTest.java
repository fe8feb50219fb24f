package dev.cofferdam.node.cloudhypervisor;

import static dev.cofferdam.node.cloudhypervisor.RestoreMode.COPY;
import static dev.cofferdam.node.cloudhypervisor.RestoreMode.COPY_ON_WRITE;
import static dev.cofferdam.node.cloudhypervisor.RestoreMode.ON_DEMAND;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ApiVersionTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "v53.0-246-gae44c2971-dirty",
        "v53.0-1-gae44c2971",
        "v53.1",
        "v54.0",
        "54.0.0",
        "v100.2"
      })
  void whatIsNewerThan53IsAskedForCopyOnWriteFirst(String version) {
    assertThat(ApiVersion.parse(version).restoreModes())
        .containsExactly(COPY_ON_WRITE, ON_DEMAND, COPY);
  }

  @ParameterizedTest
  @ValueSource(strings = {"v53.0", "v53.0-dirty", "v52.0", "v52.0-7-g0123abc"})
  void userfaultfdCameWith52(String version) {
    assertThat(ApiVersion.parse(version).restoreModes()).containsExactly(ON_DEMAND, COPY);
  }

  @ParameterizedTest
  @ValueSource(strings = {"v51.0", "v51.2", "51.1.0"})
  void olderOnesWouldOverlookAMode(String version) {
    assertThat(ApiVersion.parse(version).restoreModes()).containsExactly(COPY);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"v50.0", "v0.1", "", "53", "v53", "latest", "v53.0\n", "v53.0-rc1", "v99999.0"})
  void othersAreRefused(String version) {
    assertThatThrownBy(() -> ApiVersion.parse(version)).isInstanceOf(ApiException.class);
  }

  @Test
  void aRefusalOfAVersionShowsNothingThatATerminalWouldObey() {
    assertThatThrownBy(() -> ApiVersion.parse("\u001b[2J" + "x".repeat(5000)))
        .hasMessageStartingWith("the version is '?[2Jx")
        .extracting(e -> String.valueOf(e.getMessage()).length())
        .satisfies(length -> assertThat((int) length).isLessThan(120));
  }
}
