/** The life of a service process. Start at {@link dev.cofferdam.kit.app.ServiceMain}. */
@NullMarked
package dev.cofferdam.kit.app;

import org.jspecify.annotations.NullMarked;
