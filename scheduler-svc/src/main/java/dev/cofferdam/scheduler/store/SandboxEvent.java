package dev.cofferdam.scheduler.store;

import dev.cofferdam.scheduler.sandbox.EventDraft;

/**
 * A stored event.
 *
 * @param cursor rises within a tenant, in the order in which events became visible
 */
public record SandboxEvent(long cursor, String sandbox, EventDraft draft) {}
