package dev.cofferdam.node.guest;

import java.time.Duration;

/**
 * What goes on in a guest, by its own word.
 *
 * @param streams of processes, files and ports that are open
 * @param connections of TCP with somebody outside
 * @param cpu processor time that was used since the boot
 */
public record Activity(int streams, int connections, Duration cpu) {}
