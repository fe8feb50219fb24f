@NullMarked
package dev.cofferdam.gateway.event;

import org.jspecify.annotations.NullMarked;
