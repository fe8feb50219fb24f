/** Metrics and health over plain HTTP. Start at {@link dev.cofferdam.kit.admin.AdminServer}. */
@NullMarked
package dev.cofferdam.kit.admin;

import org.jspecify.annotations.NullMarked;
