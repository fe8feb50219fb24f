@NullMarked
package dev.cofferdam.edge.volume;

import org.jspecify.annotations.NullMarked;
