/** The test kit itself, held to what it promises. */
@NullMarked
package dev.cofferdam.testkit;

import org.jspecify.annotations.NullMarked;
