@NullMarked
package dev.cofferdam.kit.http;

import org.jspecify.annotations.NullMarked;
