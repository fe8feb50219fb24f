@NullMarked
package dev.cofferdam.deploy.authority;

import org.jspecify.annotations.NullMarked;
