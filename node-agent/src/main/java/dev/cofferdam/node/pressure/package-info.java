/**
 * Whether the host can bear another sandbox: looked at before each start, and told with each
 * heartbeat. Start at {@link dev.cofferdam.node.pressure.HostPressure}.
 */
@NullMarked
package dev.cofferdam.node.pressure;

import org.jspecify.annotations.NullMarked;
