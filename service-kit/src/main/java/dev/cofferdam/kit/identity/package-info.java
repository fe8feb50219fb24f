/**
 * Who a process of the mesh is and how it proves it. Start at {@link
 * dev.cofferdam.kit.identity.MeshTls}.
 */
@NullMarked
package dev.cofferdam.kit.identity;

import org.jspecify.annotations.NullMarked;
