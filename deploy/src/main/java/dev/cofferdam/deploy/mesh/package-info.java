/**
 * Which processes make up a mesh, with what settings, where. Start at {@link
 * dev.cofferdam.deploy.mesh.Mesh}.
 */
@NullMarked
package dev.cofferdam.deploy.mesh;

import org.jspecify.annotations.NullMarked;
