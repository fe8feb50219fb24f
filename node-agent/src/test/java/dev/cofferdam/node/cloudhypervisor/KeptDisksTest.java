package dev.cofferdam.node.cloudhypervisor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class KeptDisksTest {
  private static final MachineSpec ALONE =
      new MachineSpec("sb-a", 1, "0123456789abcdef", new MachineSize(1, 128, 64), "quiet");
  private static final MachineSpec WITH_TWO =
      new MachineSpec(
          ALONE.sandbox(),
          ALONE.slot(),
          ALONE.image(),
          ALONE.size(),
          ALONE.kernelArguments(),
          List.of("vol-a", "vol-b"),
          Optional.empty());

  @Test
  void aTemplateKnowsNoneAndLandlockAdmitsThemAll() throws IOException {
    KeptState kept = kept(VmmConfig.machine(ALONE, true).toString());
    KeptDisks disks = KeptDisks.of(WITH_TWO, kept);
    assertThat(disks.missing()).containsExactly(0, 1);
    JsonNode rules = config(disks).path("landlock_rules");
    assertThat(rules.findValuesAsText("path")).containsExactly("/sandbox", "/volume");
    assertThat(config(disks).path("disks")).hasSize(2);
    assertThat(disks.admitting().state()).isEqualTo(kept.state());
    assertThat(disks.admitting().memoryBytes()).isEqualTo(kept.memoryBytes());
  }

  @Test
  void whatSleptWithItsVolumesKnowsThem() throws IOException {
    KeptState kept = kept(VmmConfig.machineWithVolumes(WITH_TWO, true).toString());
    KeptDisks disks = KeptDisks.of(WITH_TWO, kept);
    assertThat(disks.missing()).isEmpty();
    assertThat(config(disks)).isEqualTo(new ObjectMapper().readTree(kept.config()));
  }

  @Test
  void withoutVolumesOrLandlockTheConfigurationStays() throws IOException {
    KeptState kept = kept(VmmConfig.machine(ALONE, false).toString());
    assertThat(KeptDisks.of(ALONE, kept).admitting()).isSameAs(kept);
    KeptDisks disks = KeptDisks.of(WITH_TWO, kept);
    assertThat(disks.missing()).containsExactly(0, 1);
    assertThat(config(disks)).isEqualTo(new ObjectMapper().readTree(kept.config()));
  }

  /** A VMM wrote it. */
  @ParameterizedTest
  @ValueSource(strings = {"", "[]", "null", "1", "{", "config.json's"})
  void whatIsNoConfigurationIsNotRestored(String config) {
    assertThatThrownBy(() -> KeptDisks.of(WITH_TWO, kept(config)))
        .isInstanceOf(MachineException.class)
        .hasMessageStartingWith("sb-a cannot be restored: ");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{}",
        "{\"disks\":1,\"landlock_enable\":true}",
        "{\"disks\":{\"id\":{\"id\":\"volume9\"}},\"landlock_enable\":true,\"landlock_rules\":7}"
      })
  void whatMakesLittleSenseIsLeftToTheVmmThatWroteIt(String config) {
    assertThat(KeptDisks.of(WITH_TWO, kept(config)).missing()).containsExactly(0, 1);
  }

  private static KeptState kept(String config) {
    return new KeptState("v53.0", 8192, config.getBytes(StandardCharsets.UTF_8), new byte[] {1, 2});
  }

  private static JsonNode config(KeptDisks disks) throws IOException {
    return new ObjectMapper().readTree(disks.admitting().config());
  }
}
