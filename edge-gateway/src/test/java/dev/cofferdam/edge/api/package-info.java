@NullMarked
package dev.cofferdam.edge.api;

import org.jspecify.annotations.NullMarked;
