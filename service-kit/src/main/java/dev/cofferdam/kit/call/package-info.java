/** Who calls, and which callers a method has. Start at {@link dev.cofferdam.kit.call.CallRules}. */
@NullMarked
package dev.cofferdam.kit.call;

import org.jspecify.annotations.NullMarked;
