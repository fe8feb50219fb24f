/**
 * Child processes that are kept alive. Start at {@link dev.cofferdam.deploy.supervise.Supervised}.
 */
@NullMarked
package dev.cofferdam.deploy.supervise;

import org.jspecify.annotations.NullMarked;
