package dev.cofferdam.scheduler.store;

import java.time.Instant;

/**
 * Where a page of a list that begins with the newest ends.
 *
 * @param createTime of its last entry
 */
public record Position(Instant createTime, String id) {}
