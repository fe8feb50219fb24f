package dev.cofferdam.deploy.mesh;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class MeshOptionsTest {
  @Test
  void theUidsOfEveryMeshAreNobodyElsesAndApartFromTheStandardOnes() {
    Set<Integer> ranges = new HashSet<>();
    for (String mesh : new String[] {"cfd", "demo", "e2e", "x", "zzzzzzzz"}) {
      for (int base : new int[] {1024, 7400, 7500, 65400}) {
        int first = TestOptions.named(mesh, base).vmmUidBase();
        assertThat(first).isGreaterThan(65_535);
        assertThat(first + MeshOptions.SLOTS).isLessThan(100_000);
        assertThat((first - 70_000) % MeshOptions.SLOTS).isZero();
        assertThat(first == 70_000).isEqualTo(mesh.equals("cfd") && base == 7400);
        ranges.add(first);
      }
    }
    assertThat(ranges).hasSizeGreaterThan(5);
  }

  @Test
  void aNameThatIsTooLongForAnInterfaceIsRefused() {
    assertThatThrownBy(() -> TestOptions.named("ninechars", 7400))
        .hasMessageContaining("ninechars")
        .hasMessageContaining("at most 8");
    assertThatThrownBy(() -> TestOptions.named("a-b", 7400))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void portsAndStateAreChecked() {
    assertThatThrownBy(() -> new MeshPorts(80)).hasMessageContaining("80");
    assertThatThrownBy(() -> new MeshPorts(65_500)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new MeshLayout(Path.of("relative"))).hasMessageContaining("relative");
  }
}
