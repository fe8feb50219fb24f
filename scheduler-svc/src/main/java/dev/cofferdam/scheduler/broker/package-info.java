/**
 * The broker as the scheduler calls it. Start at {@link
 * dev.cofferdam.scheduler.broker.BrokerClient}.
 */
@NullMarked
package dev.cofferdam.scheduler.broker;

import org.jspecify.annotations.NullMarked;
