@NullMarked
package dev.cofferdam.edge;

import org.jspecify.annotations.NullMarked;
