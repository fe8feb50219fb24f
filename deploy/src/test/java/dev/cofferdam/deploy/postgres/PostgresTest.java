package dev.cofferdam.deploy.postgres;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class PostgresTest {
  @TempDir private Path directory = Path.of("unset");

  @Test
  void everyRoleReachesItsOwnDatabaseAlone() {
    assertThat(PostgresFiles.access("admin", List.of("a", "b")))
        .isEqualTo(
            """
            # Written by the launcher at every start.
            host a a 127.0.0.1/32 scram-sha-256
            host b b 127.0.0.1/32 scram-sha-256
            host all admin 127.0.0.1/32 scram-sha-256
            """);
  }

  @Test
  void theServerIsDurableAndOnTheLoopback() {
    assertThat(PostgresFiles.settings(7650))
        .contains("listen_addresses = '127.0.0.1'\n")
        .contains("port = 7650\n")
        .contains("unix_socket_directories = ''\n")
        .contains("fsync = on\n")
        .contains("synchronous_commit = on\n")
        .contains("password_encryption = 'scram-sha-256'\n")
        .contains("log_parameter_max_length_on_error = 0\n")
        .doesNotContain("trust");
  }

  @Test
  void theNewestOfDebiansIsTakenOrTheOneThatTheDataNeeds() throws Exception {
    install("9");
    install("15");
    install("17");
    Files.createDirectories(directory.resolve("18/bin"));
    assertThat(PostgresBinaries.installed(directory, Optional.empty()))
        .contains(new PostgresBinaries(directory.resolve("17/bin"), 17));
    assertThat(PostgresBinaries.installed(directory, Optional.of(15)))
        .contains(new PostgresBinaries(directory.resolve("15/bin"), 15));
    assertThat(PostgresBinaries.installed(directory, Optional.of(16))).isEmpty();
    assertThat(PostgresBinaries.installed(directory.resolve("none"), Optional.empty())).isEmpty();
  }

  @Test
  void withoutDebiansTheCarriedOneIsUnpackedOnce() throws Exception {
    Path none = directory.resolve("none");
    PostgresBinaries carried = PostgresBinaries.find(none, directory, Optional.empty());
    assertThat(carried.major()).isEqualTo(17);
    assertThat(carried.directory().resolve("initdb")).isExecutable();
    assertThat(carried.directory().resolve("postgres")).isExecutable();
    Object made = Files.getLastModifiedTime(carried.directory());
    assertThat(PostgresBinaries.find(none, directory, Optional.of(17))).isEqualTo(carried);
    assertThat(Files.getLastModifiedTime(carried.directory())).isEqualTo(made);
    try (var left = Files.list(directory)) {
      assertThat(left).containsExactly(directory.resolve("postgres"));
    }
    assertThatThrownBy(() -> PostgresBinaries.find(none, directory, Optional.of(15)))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("apt-get install postgresql-15");
  }

  private void install(String version) throws IOException {
    Path bin = Files.createDirectories(directory.resolve(version).resolve("bin"));
    Files.createFile(
        bin.resolve("initdb"),
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxr-xr-x")));
  }
}
