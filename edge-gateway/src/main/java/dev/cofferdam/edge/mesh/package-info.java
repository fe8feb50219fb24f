/**
 * The edge as a client of the public API and of the broker's SecretService, with the caller's own
 * tokens and nothing else. Start at {@link dev.cofferdam.edge.mesh.MeshClient}.
 */
@NullMarked
package dev.cofferdam.edge.mesh;

import org.jspecify.annotations.NullMarked;
