package dev.cofferdam.broker.vault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whether a missing server is an error or a reason to skip. */
class OpenBaoTest {
  @TempDir Path directory;

  @Test
  void oneThatIsNamedAndMissingIsAnError() {
    Map<String, String> environment = Map.of("COFFERDAM_BAO", directory.resolve("bao").toString());
    assertThatThrownBy(() -> OpenBao.binary(environment))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("COFFERDAM_BAO");
  }

  @Test
  void withoutANameItIsLookedForOnPath() throws Exception {
    Map<String, String> environment = Map.of("COFFERDAM_BAO", "", "PATH", "/nowhere:" + directory);
    assertThat(OpenBao.binary(environment)).isEmpty();
    Path bao =
        Files.createFile(
            directory.resolve("bao"),
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    assertThat(OpenBao.binary(environment)).contains(bao);
  }
}
