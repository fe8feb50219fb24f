/**
 * The standalone launcher: runs one mesh on one machine. Start at {@link
 * dev.cofferdam.deploy.Main}; {@link dev.cofferdam.deploy.mesh.Mesh} is the wiring.
 */
@NullMarked
package dev.cofferdam.deploy;

import org.jspecify.annotations.NullMarked;
