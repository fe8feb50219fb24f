/**
 * Benchmarks of what is put together in the gateway's package of this name, and seen there only.
 */
@NullMarked
package dev.cofferdam.gateway.proxy;

import org.jspecify.annotations.NullMarked;
