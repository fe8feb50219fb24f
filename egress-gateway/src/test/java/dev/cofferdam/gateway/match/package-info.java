@NullMarked
package dev.cofferdam.gateway.match;

import org.jspecify.annotations.NullMarked;
