package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.scheduler.volume.Volume;
import java.util.Optional;

/**
 * A volume that passed every check that needs no record.
 *
 * @param sizeMib 0: as the source, or the default
 * @param source name of one to begin as a copy of
 * @param base whose sandboxes it can be the disk of; empty: as the source, or none's
 */
public record VolumeSpec(
    String name, int sizeMib, Optional<String> source, Optional<Volume.Base> base) {}
