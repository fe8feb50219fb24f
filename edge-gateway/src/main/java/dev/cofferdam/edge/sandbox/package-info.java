/**
 * Sandboxes as the SDKs know them: what they ask at create, ids, their end. Start at {@link
 * dev.cofferdam.edge.sandbox.Sandboxes}.
 */
@NullMarked
package dev.cofferdam.edge.sandbox;

import org.jspecify.annotations.NullMarked;
