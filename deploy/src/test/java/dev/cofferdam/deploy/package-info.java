@NullMarked
package dev.cofferdam.deploy;

import org.jspecify.annotations.NullMarked;
