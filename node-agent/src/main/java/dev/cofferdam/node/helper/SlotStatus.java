package dev.cofferdam.node.helper;

/**
 * A slot as the kernel knows it.
 *
 * @param vmmPid 0 where none runs
 */
public record SlotStatus(int slot, String address, long vmmPid) {}
