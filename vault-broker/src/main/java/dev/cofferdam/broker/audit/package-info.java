/**
 * What left a sandbox, what was not let out and who changed what, append-only. Start at {@link
 * dev.cofferdam.broker.audit.AuditLog}.
 */
@NullMarked
package dev.cofferdam.broker.audit;

import org.jspecify.annotations.NullMarked;
