/**
 * PostgreSQL: records, events, tokens, nodes. Start at {@link
 * dev.cofferdam.scheduler.store.SandboxStore}; the schema is in {@code db/migration}.
 */
@NullMarked
package dev.cofferdam.scheduler.store;

import org.jspecify.annotations.NullMarked;
