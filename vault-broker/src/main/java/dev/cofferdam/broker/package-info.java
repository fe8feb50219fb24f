/**
 * The only holder of secrets: takes them from tenants, grants them to sandboxes, and hands a value
 * to a gateway for one request after that use is on record. Start at {@link
 * dev.cofferdam.broker.BrokerApp}.
 */
@NullMarked
package dev.cofferdam.broker;

import org.jspecify.annotations.NullMarked;
