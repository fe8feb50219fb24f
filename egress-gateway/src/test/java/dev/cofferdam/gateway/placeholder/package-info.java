@NullMarked
package dev.cofferdam.gateway.placeholder;

import org.jspecify.annotations.NullMarked;
