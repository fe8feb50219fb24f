/**
 * The gRPC services of both listeners: from the wire to the domain and back, nothing else. Start at
 * {@link dev.cofferdam.broker.api.MeshApi} and {@link dev.cofferdam.broker.api.TenantApi}.
 *
 * <p>Messages that carry values never become the generated classes, whose bytes lie on the heap:
 * see {@link dev.cofferdam.broker.api.ValueRequestMarshaller} and {@link
 * dev.cofferdam.broker.api.ValuesMarshaller}.
 */
@NullMarked
package dev.cofferdam.broker.api;

import org.jspecify.annotations.NullMarked;
