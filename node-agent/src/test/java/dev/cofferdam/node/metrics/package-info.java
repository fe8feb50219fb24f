@NullMarked
package dev.cofferdam.node.metrics;

import org.jspecify.annotations.NullMarked;
