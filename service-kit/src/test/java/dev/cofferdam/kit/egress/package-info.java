@NullMarked
package dev.cofferdam.kit.egress;

import org.jspecify.annotations.NullMarked;
