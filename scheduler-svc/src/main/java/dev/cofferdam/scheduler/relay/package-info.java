/**
 * Where a process, file or port stream goes. Start at {@link
 * dev.cofferdam.scheduler.relay.SandboxRouter}; the bytes are moved by service-kit.
 */
@NullMarked
package dev.cofferdam.scheduler.relay;

import org.jspecify.annotations.NullMarked;
