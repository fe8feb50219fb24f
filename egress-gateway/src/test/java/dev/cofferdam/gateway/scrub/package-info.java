@NullMarked
package dev.cofferdam.gateway.scrub;

import org.jspecify.annotations.NullMarked;
