/**
 * What a policy's data rules find in requests. Pure: bytes in, findings and bytes out. Start at
 * {@link dev.cofferdam.gateway.data.DataGuard}.
 */
@NullMarked
package dev.cofferdam.gateway.data;

import org.jspecify.annotations.NullMarked;
