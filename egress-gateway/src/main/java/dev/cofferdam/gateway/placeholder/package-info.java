/**
 * Finds placeholders in a request and decides, per grant, whether each stands where it may. Pure.
 * Start at {@link dev.cofferdam.gateway.placeholder.Judge}.
 */
@NullMarked
package dev.cofferdam.gateway.placeholder;

import org.jspecify.annotations.NullMarked;
