@NullMarked
package dev.cofferdam.deploy.postgres;

import org.jspecify.annotations.NullMarked;
