/**
 * Processes of a sandbox, as calls of a session. Start at {@link
 * dev.cofferdam.edge.process.ProcessMethods}.
 */
@NullMarked
package dev.cofferdam.edge.process;

import org.jspecify.annotations.NullMarked;
