package dev.cofferdam.scheduler.sandbox;

/**
 * A volume that a sandbox has.
 *
 * @param directory it is mounted at
 * @param name the tenant's
 * @param id the node's
 */
public record VolumeUse(String directory, String name, String id) {}
