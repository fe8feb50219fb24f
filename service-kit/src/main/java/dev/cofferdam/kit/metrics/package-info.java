/**
 * What every service tells Prometheus of itself, and how times are told. Start at {@link
 * dev.cofferdam.kit.metrics.Times}. Names are {@code cofferdam_<service>_<what>_<unit>}; labels
 * hold ids and words of closed lists, never a secret's name or anything else that a tenant chose.
 */
@NullMarked
package dev.cofferdam.kit.metrics;

import org.jspecify.annotations.NullMarked;
