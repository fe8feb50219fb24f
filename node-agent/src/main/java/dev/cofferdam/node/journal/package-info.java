/**
 * What this node was about to do, on disk before it does it. Start at {@link
 * dev.cofferdam.node.journal.Journal}.
 */
@NullMarked
package dev.cofferdam.node.journal;

import org.jspecify.annotations.NullMarked;
