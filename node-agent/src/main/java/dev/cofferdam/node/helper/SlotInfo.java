package dev.cofferdam.node.helper;

import java.nio.file.Path;

/**
 * A slot that stands.
 *
 * @param address IPv4, how the gateway sees it
 * @param link Unix socket to the guest's agent
 */
public record SlotInfo(int slot, String address, Path link) {}
