/**
 * What the gateway's HTTP has beside the kit's: the upstream's end of it, where values are written
 * that never become text, and what comes back is searched before it does. Start at {@link
 * dev.cofferdam.gateway.http.OutgoingRequest}.
 */
@NullMarked
package dev.cofferdam.gateway.http;

import org.jspecify.annotations.NullMarked;
