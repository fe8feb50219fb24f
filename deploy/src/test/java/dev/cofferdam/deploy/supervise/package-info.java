@NullMarked
package dev.cofferdam.deploy.supervise;

import org.jspecify.annotations.NullMarked;
