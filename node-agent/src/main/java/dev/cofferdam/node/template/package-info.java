/**
 * Machines booted once and kept as snapshots. Start at {@link
 * dev.cofferdam.node.template.Templates}.
 */
@NullMarked
package dev.cofferdam.node.template;

import org.jspecify.annotations.NullMarked;
