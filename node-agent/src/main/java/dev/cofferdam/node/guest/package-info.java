/**
 * The link to the agent inside a sandbox. Start at {@link dev.cofferdam.node.guest.GuestConnector}.
 */
@NullMarked
package dev.cofferdam.node.guest;

import org.jspecify.annotations.NullMarked;
