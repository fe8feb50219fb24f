package dev.cofferdam.deploy.postgres;

import dev.cofferdam.deploy.account.Commands;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** The directory that holds {@code initdb} and {@code postgres} of one major version. */
public record PostgresBinaries(Path directory, int major) {
  private static final String ARCHIVE = "/postgres-linux-x86_64.txz";

  /**
   * Debian's newest, else those that the launcher carries, unpacked into {@code cache}.
   *
   * @param wanted the version that an existing data directory needs
   */
  public static PostgresBinaries find(Path debian, Path cache, Optional<Integer> wanted)
      throws IOException {
    Optional<PostgresBinaries> installed = installed(debian, wanted);
    if (installed.isPresent()) {
      return installed.get();
    }
    PostgresBinaries carried = unpack(cache);
    if (wanted.isPresent() && wanted.get() != carried.major()) {
      throw new IOException(
          "the database is of PostgreSQL %d, here is %d: apt-get install postgresql-%1$d"
              .formatted(wanted.get(), carried.major()));
    }
    return carried;
  }

  /** {@code <debian>/<major>/bin}, of the wanted version or the newest. */
  static Optional<PostgresBinaries> installed(Path debian, Optional<Integer> wanted)
      throws IOException {
    if (!Files.isDirectory(debian)) {
      return Optional.empty();
    }
    try (Stream<Path> versions = Files.list(debian)) {
      return versions
          .filter(version -> version.getFileName().toString().matches("\\d{1,3}"))
          .map(version ->
              new PostgresBinaries(
                  version.resolve("bin"), Integer.parseInt(version.getFileName().toString())))
          .filter(found -> Files.isExecutable(found.directory.resolve("initdb")))
          .filter(found -> wanted.isEmpty() || wanted.get() == found.major)
          .max(Comparator.comparingInt(PostgresBinaries::major));
    }
  }

  private static PostgresBinaries unpack(Path cache) throws IOException {
    Path home = cache.resolve("postgres");
    if (!Files.isExecutable(home.resolve("bin/postgres"))) {
      Files.createDirectories(cache);
      Path archive = Files.createTempFile(cache, "postgres", ".txz");
      Path fresh = Files.createTempDirectory(cache, "postgres");
      try (InputStream packed = PostgresBinaries.class.getResourceAsStream(ARCHIVE)) {
        if (packed == null) {
          throw new IOException("no PostgreSQL for this machine: apt-get install postgresql");
        }
        Files.copy(packed, archive, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
        Commands.run(
            List.of(
                "tar",
                "--extract",
                "--xz",
                "--no-same-owner",
                "--file=" + archive,
                "--directory=" + fresh));
        Commands.run(List.of("chmod", "-R", "u=rwX,go=rX", fresh.toString()));
        if (!Files.exists(home)) {
          Files.move(fresh, home);
        }
      } finally {
        Files.delete(archive);
      }
    }
    // "postgres (PostgreSQL) 17.6"
    String version = Commands.run(List.of(home.resolve("bin/postgres").toString(), "--version"));
    return new PostgresBinaries(
        home.resolve("bin"), Integer.parseInt(version.replaceAll("(?s).*\\) (\\d+).*", "$1")));
  }
}
