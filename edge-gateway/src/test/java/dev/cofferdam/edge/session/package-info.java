@NullMarked
package dev.cofferdam.edge.session;

import org.jspecify.annotations.NullMarked;
