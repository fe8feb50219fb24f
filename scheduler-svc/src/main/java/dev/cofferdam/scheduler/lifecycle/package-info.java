/**
 * What changes a sandbox's record and acts on it: create, end, expire, reconcile. Start at {@link
 * dev.cofferdam.scheduler.lifecycle.SandboxCreator}; nothing here is lost when the process dies,
 * for each step is in the database before it is taken.
 */
@NullMarked
package dev.cofferdam.scheduler.lifecycle;

import org.jspecify.annotations.NullMarked;
