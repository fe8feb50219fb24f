/**
 * A secret's value while this process holds it, and the seam to the store that keeps it. Start at
 * {@link dev.cofferdam.broker.secret.SecretValue} and {@link
 * dev.cofferdam.broker.secret.SecretStore}.
 */
@NullMarked
package dev.cofferdam.broker.secret;

import org.jspecify.annotations.NullMarked;
