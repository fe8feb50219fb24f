@NullMarked
package dev.cofferdam.gateway.http;

import org.jspecify.annotations.NullMarked;
