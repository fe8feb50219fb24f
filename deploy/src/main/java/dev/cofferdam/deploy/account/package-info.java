/**
 * System users and files that belong to them. Start at {@link
 * dev.cofferdam.deploy.account.Account}.
 */
@NullMarked
package dev.cofferdam.deploy.account;

import org.jspecify.annotations.NullMarked;
