/**
 * What a policy asks of a request, read in one way by the broker, which refuses what makes no
 * sense, and by the gateway, which judges by it. Pure: no clock, no I/O. Start at {@link
 * dev.cofferdam.kit.egress.RequestMatch}.
 */
@NullMarked
package dev.cofferdam.kit.egress;

import org.jspecify.annotations.NullMarked;
