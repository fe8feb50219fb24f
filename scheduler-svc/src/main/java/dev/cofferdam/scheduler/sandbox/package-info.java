/**
 * What a sandbox is and how its record may change. Pure. Start at {@link
 * dev.cofferdam.scheduler.sandbox.SandboxState}, which draws the life of a sandbox.
 */
@NullMarked
package dev.cofferdam.scheduler.sandbox;

import org.jspecify.annotations.NullMarked;
