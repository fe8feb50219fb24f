/**
 * What the tests of several modules need, each of it the real thing where that is cheap: a
 * PostgreSQL server, a mesh's CA, gRPC in process, the memory of another process, and a clock that
 * stands still. Start at {@link dev.cofferdam.testkit.TestPostgres}.
 */
@NullMarked
package dev.cofferdam.testkit;

import org.jspecify.annotations.NullMarked;
