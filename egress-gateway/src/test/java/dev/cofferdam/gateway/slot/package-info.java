@NullMarked
package dev.cofferdam.gateway.slot;

import org.jspecify.annotations.NullMarked;
