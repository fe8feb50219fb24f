@NullMarked
package dev.cofferdam.edge.sandbox;

import org.jspecify.annotations.NullMarked;
