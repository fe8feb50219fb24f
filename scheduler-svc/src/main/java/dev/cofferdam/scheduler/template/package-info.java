/**
 * What a tenant's template is. Start at {@link dev.cofferdam.scheduler.template.Template}; how one
 * comes and goes is in {@code lifecycle}.
 */
@NullMarked
package dev.cofferdam.scheduler.template;

import org.jspecify.annotations.NullMarked;
