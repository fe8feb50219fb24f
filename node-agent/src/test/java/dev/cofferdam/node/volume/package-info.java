@NullMarked
package dev.cofferdam.node.volume;

import org.jspecify.annotations.NullMarked;
