/**
 * Which node a new sandbox goes to. Pure: an immutable view, a spec and a source of randomness in,
 * a decision out. Start at {@link dev.cofferdam.scheduler.placement.Placement}.
 */
@NullMarked
package dev.cofferdam.scheduler.placement;

import org.jspecify.annotations.NullMarked;
