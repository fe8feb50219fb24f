@NullMarked
package dev.cofferdam.node.image;

import org.jspecify.annotations.NullMarked;
