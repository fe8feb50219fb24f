/**
 * The broker's database: transactions and their few helpers. Start at {@link
 * dev.cofferdam.broker.sql.Database}.
 */
@NullMarked
package dev.cofferdam.broker.sql;

import org.jspecify.annotations.NullMarked;
