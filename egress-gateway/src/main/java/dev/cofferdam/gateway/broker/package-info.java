/**
 * The vault-broker as seen from here. Start at {@link dev.cofferdam.gateway.broker.BrokerClient}.
 */
@NullMarked
package dev.cofferdam.gateway.broker;

import org.jspecify.annotations.NullMarked;
