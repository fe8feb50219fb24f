package dev.cofferdam.edge.session;

import java.time.Duration;

/**
 * What one socket may do.
 *
 * @param messageBytes of one message of the client
 * @param calls at a time, waiting ones included
 * @param streams of the client's that are open at a time
 * @param inputBytes of the client's streams that wait to be taken
 * @param outputBytes on their way to the client
 * @param stall how long a client may take nothing of what it is sent, and how long a stream of its
 *     may hold up all others
 */
public record SessionLimits(
    int messageBytes, int calls, int streams, int inputBytes, int outputBytes, Duration stall) {}
