/**
 * One socket of an SDK: calls, answers, streams both ways, within limits. Start at {@link
 * dev.cofferdam.edge.session.Session}.
 */
@NullMarked
package dev.cofferdam.edge.session;

import org.jspecify.annotations.NullMarked;
