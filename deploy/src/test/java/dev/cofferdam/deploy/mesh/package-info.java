@NullMarked
package dev.cofferdam.deploy.mesh;

import org.jspecify.annotations.NullMarked;
