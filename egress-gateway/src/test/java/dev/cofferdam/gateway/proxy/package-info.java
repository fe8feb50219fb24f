@NullMarked
package dev.cofferdam.gateway.proxy;

import org.jspecify.annotations.NullMarked;
