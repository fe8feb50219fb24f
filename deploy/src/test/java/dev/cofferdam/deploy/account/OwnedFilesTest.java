package dev.cofferdam.deploy.account;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class OwnedFilesTest {
  @TempDir private Path directory = Path.of("unset");

  @Test
  void aLinkInTheWayIsReplacedAndNotFollowed() throws Exception {
    Path victim = Files.writeString(directory.resolve("victim"), "untouched");
    Path file = directory.resolve("file");
    Files.createSymbolicLink(file, victim);
    Files.createSymbolicLink(directory.resolve("file.new"), victim);

    OwnedFiles.write(file, "fresh", "rw-r-----");

    assertThat(Files.readString(victim)).isEqualTo("untouched");
    assertThat(Files.isSymbolicLink(file)).isFalse();
    assertThat(Files.readString(file)).isEqualTo("fresh");
    assertThat(mode(file)).isEqualTo("rw-r-----");
  }

  @Test
  void anExistingDirectoryGetsTheMode() throws Exception {
    Path made = Files.createDirectory(directory.resolve("made"));
    OwnedFiles.directory(made, "rwx------");
    assertThat(mode(made)).isEqualTo("rwx------");
  }

  /** A service that was taken over would have root change the mode of what it points at. */
  @Test
  void aLinkInPlaceOfADirectoryIsRefused() throws Exception {
    Path victim = Files.createDirectory(directory.resolve("victim"));
    String before = mode(victim);
    Path link = Files.createSymbolicLink(directory.resolve("link"), victim);

    assertThatThrownBy(() -> OwnedFiles.directory(link, "rwx------"))
        .hasMessageContaining(link.toString());
    assertThat(mode(victim)).isEqualTo(before);
  }

  @Test
  void anAccountIsNeverRoot() {
    assertThatThrownBy(() -> new Account("root", 0, 0)).hasMessageContaining("root");
  }

  @Test
  void anAccountGivesUpEverything() {
    assertThat(new Account("x", 11, 12).asThisUser(List.of("id", "-a")))
        .containsExactly(
            "prlimit",
            "--core=0:0",
            "setpriv",
            "--reuid=11",
            "--regid=12",
            "--clear-groups",
            "--inh-caps=-all",
            "--bounding-set=-all",
            "--no-new-privs",
            "id",
            "-a");
  }

  private static String mode(Path path) throws Exception {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
  }
}
