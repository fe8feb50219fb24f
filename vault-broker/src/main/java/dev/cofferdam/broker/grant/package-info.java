/**
 * Who may use which secret, from which slot, and for how long. Start at {@link
 * dev.cofferdam.broker.grant.Grants} for what the scheduler asks, {@link
 * dev.cofferdam.broker.grant.Attachments} for what a gateway is told, and {@link
 * dev.cofferdam.broker.grant.Materialiser} for the one place where a value is handed out.
 */
@NullMarked
package dev.cofferdam.broker.grant;

import org.jspecify.annotations.NullMarked;
