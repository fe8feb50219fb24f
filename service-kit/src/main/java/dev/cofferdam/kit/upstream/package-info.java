/**
 * What a service holds itself to that connects to hosts outside of the mesh: which addresses, by
 * whose word, and whose certificates. Start at {@link dev.cofferdam.kit.upstream.AddressGate}.
 */
@NullMarked
package dev.cofferdam.kit.upstream;

import org.jspecify.annotations.NullMarked;
