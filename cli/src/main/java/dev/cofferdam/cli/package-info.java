/**
 * The command-line client, a plain user of the public API. Start at {@link dev.cofferdam.cli.Main};
 * {@link dev.cofferdam.cli.ProcessSession} is where the work is.
 */
@NullMarked
package dev.cofferdam.cli;

import org.jspecify.annotations.NullMarked;
