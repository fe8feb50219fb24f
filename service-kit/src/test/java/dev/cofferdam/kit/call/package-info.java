@NullMarked
package dev.cofferdam.kit.call;

import org.jspecify.annotations.NullMarked;
