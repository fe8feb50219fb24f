/**
 * The gRPC services, the only place that touches generated server classes. Start at {@link
 * dev.cofferdam.scheduler.api.SandboxApi}.
 */
@NullMarked
package dev.cofferdam.scheduler.api;

import org.jspecify.annotations.NullMarked;
