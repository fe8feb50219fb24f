@NullMarked
package dev.cofferdam.gateway.policy;

import org.jspecify.annotations.NullMarked;
