/**
 * The PostgreSQL server of a mesh. Start at {@link dev.cofferdam.deploy.postgres.PostgresServer}.
 */
@NullMarked
package dev.cofferdam.deploy.postgres;

import org.jspecify.annotations.NullMarked;
