@NullMarked
package dev.cofferdam.gateway.tls;

import org.jspecify.annotations.NullMarked;
