@NullMarked
package dev.cofferdam.edge.file;

import org.jspecify.annotations.NullMarked;
