/**
 * The node's standing connection to the scheduler. Start at {@link
 * dev.cofferdam.node.registry.RegistryConnection}.
 */
@NullMarked
package dev.cofferdam.node.registry;

import org.jspecify.annotations.NullMarked;
