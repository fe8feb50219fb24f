/**
 * Images as registries and tools hand them out (OCI image specification v1.1, and what {@code
 * docker save} writes), made into one root file system. Everything here is somebody else's word:
 * nothing of an image is unpacked into a file system of the host, names are looked up in a tree in
 * memory, sizes and counts are bounded, digests are checked. Start at {@link
 * dev.cofferdam.node.oci.RootMaker}.
 */
@NullMarked
package dev.cofferdam.node.oci;

import org.jspecify.annotations.NullMarked;
