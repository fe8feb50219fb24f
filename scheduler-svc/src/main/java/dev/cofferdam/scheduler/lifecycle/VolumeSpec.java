package dev.cofferdam.scheduler.lifecycle;

import java.util.Optional;

/**
 * A volume that passed every check that needs no record.
 *
 * @param sizeMib 0: as the source, or the default
 * @param source name of one to begin as a copy of
 */
public record VolumeSpec(String name, int sizeMib, Optional<String> source) {}
