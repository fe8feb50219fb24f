/**
 * Secret values, held off-heap, and the filter that turns them into placeholders again in answers.
 * Start at {@link dev.cofferdam.gateway.scrub.Scrubber}.
 */
@NullMarked
package dev.cofferdam.gateway.scrub;

import org.jspecify.annotations.NullMarked;
