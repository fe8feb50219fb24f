/**
 * Finds byte patterns in a stream, whatever the chunks, in all the encodings that servers and
 * clients commonly use. Start at {@link dev.cofferdam.gateway.match.StreamMatcher}.
 */
@NullMarked
package dev.cofferdam.gateway.match;

import org.jspecify.annotations.NullMarked;
