/**
 * Signs requests, so that a key which signs is never handed out. What the key is in stays off the
 * heap. Start at {@link dev.cofferdam.broker.sign.Aws4}.
 */
@NullMarked
package dev.cofferdam.broker.sign;

import org.jspecify.annotations.NullMarked;
