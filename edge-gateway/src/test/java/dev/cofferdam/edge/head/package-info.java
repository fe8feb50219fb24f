@NullMarked
package dev.cofferdam.edge.head;

import org.jspecify.annotations.NullMarked;
