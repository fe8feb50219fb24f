/**
 * A tenant's secrets by name: versions, bindings, and what becomes of values that are no longer in
 * use. Start at {@link dev.cofferdam.broker.catalog.Secrets}.
 */
@NullMarked
package dev.cofferdam.broker.catalog;

import org.jspecify.annotations.NullMarked;
