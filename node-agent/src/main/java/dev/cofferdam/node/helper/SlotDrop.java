package dev.cofferdam.node.helper;

/**
 * Packets of one kind that a slot refused, over about a second.
 *
 * @param protocol as in the audit: {@code udp}, {@code icmp}, {@code ipv6}, {@code tcp}, {@code
 *     arp}, {@code ip}, {@code spoofed}
 * @param firstTimeMs Unix time of the first
 */
public record SlotDrop(
    int slot, String protocol, String destination, int port, long count, long firstTimeMs) {}
