@NullMarked
package dev.cofferdam.cli;

import org.jspecify.annotations.NullMarked;
