@NullMarked
package dev.cofferdam.node.build;

import org.jspecify.annotations.NullMarked;
