/**
 * {@code fetch}: requests that leave from the sandbox, as anything of its own does. Start at {@link
 * dev.cofferdam.edge.fetch.FetchMethods}.
 */
@NullMarked
package dev.cofferdam.edge.fetch;

import org.jspecify.annotations.NullMarked;
