@NullMarked
package dev.cofferdam.broker.proposal;

import org.jspecify.annotations.NullMarked;
