@NullMarked
package dev.cofferdam.edge.secret;

import org.jspecify.annotations.NullMarked;
