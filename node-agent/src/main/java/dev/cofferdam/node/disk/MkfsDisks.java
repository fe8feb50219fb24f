package dev.cofferdam.node.disk;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** Disks by {@code mkfs.ext4}: no reserved blocks, and none written that reads as zero anyhow. */
public final class MkfsDisks implements Disks {
  private static final Path PROGRAM = Path.of("/sbin/mkfs.ext4");
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  private final Path program;
  private final Duration patience;
  private final List<String> features;

  /**
   * Laid out as those of the images are (deploy/image/build.sh): without a journal, for the disk
   * lives and dies with its VM's memory.
   */
  public MkfsDisks() {
    this(PROGRAM, PATIENCE);
  }

  MkfsDisks(Path program, Duration patience) {
    this(program, patience, List.of("-O", "^has_journal", "-L", "sandbox"));
  }

  private MkfsDisks(Path program, Duration patience, List<String> features) {
    this.program = program;
    this.patience = patience;
    this.features = features;
  }

  /** For volumes: with a journal, as they outlive guests that are killed. */
  public static MkfsDisks forVolumes() {
    return new MkfsDisks(PROGRAM, PATIENCE, List.of("-b", "4096", "-L", "volume"));
  }

  @Override
  public void format(Path file, int sizeMib) throws IOException {
    SparseFile.create(file, (long) sizeMib << 20).close();
    List<String> command = new ArrayList<>(List.of(program.toString(), "-q", "-F", "-m", "0"));
    command.addAll(features);
    // Its tables are zero already: a sparse file reads so.
    command.addAll(List.of("-E", "assume_storage_prezeroed=1,nodiscard,root_owner=0:0"));
    command.add(file.toString());
    HostCommand.run(command, patience);
  }
}
