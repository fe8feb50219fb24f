/**
 * A URL for every port of a sandbox: {@code <port>-<sandbox>.<domain>}. Start at {@link
 * dev.cofferdam.edge.port.PortServer}.
 */
@NullMarked
package dev.cofferdam.edge.port;

import org.jspecify.annotations.NullMarked;
