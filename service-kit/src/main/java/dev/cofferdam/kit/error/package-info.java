/** Refusals with a reason from a closed list. Start at {@link dev.cofferdam.kit.error.Refusal}. */
@NullMarked
package dev.cofferdam.kit.error;

import org.jspecify.annotations.NullMarked;
