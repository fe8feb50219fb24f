@NullMarked
package dev.cofferdam.node.oci;

import org.jspecify.annotations.NullMarked;
