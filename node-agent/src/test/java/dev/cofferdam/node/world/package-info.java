/**
 * Both drivers against the real thing, each with whole guests in node-helper's jail, in the world
 * that {@code testkit/nested} makes. Start at {@link dev.cofferdam.node.world.GuestContract}.
 */
@NullMarked
package dev.cofferdam.node.world;

import org.jspecify.annotations.NullMarked;
