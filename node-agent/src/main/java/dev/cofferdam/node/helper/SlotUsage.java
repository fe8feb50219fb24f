package dev.cofferdam.node.helper;

/**
 * What a slot's sandbox has used.
 *
 * @param cpuNanos of its VMM since that began: a later VMM counts from zero again
 * @param memoryBytes that count towards its limit now
 * @param diskBytes that its own files occupy now
 * @param fromGuestBytes frames since the slot was made, dropped ones included
 * @param toGuestBytes frames since the slot was made
 */
public record SlotUsage(
    long cpuNanos, long memoryBytes, long diskBytes, long fromGuestBytes, long toGuestBytes) {}
