/**
 * Files of a sandbox, as calls of a session. Start at {@link dev.cofferdam.edge.file.FileMethods}.
 */
@NullMarked
package dev.cofferdam.edge.file;

import org.jspecify.annotations.NullMarked;
