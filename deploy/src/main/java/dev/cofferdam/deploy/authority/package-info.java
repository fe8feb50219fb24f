/**
 * The mesh's private CA and the short-lived certificates it issues. Start at {@link
 * dev.cofferdam.deploy.authority.MeshAuthority}.
 */
@NullMarked
package dev.cofferdam.deploy.authority;

import org.jspecify.annotations.NullMarked;
