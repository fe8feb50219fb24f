/**
 * Values in Vault's or OpenBao's KV version 2 engine. Start at {@link
 * dev.cofferdam.broker.vault.VaultStore}.
 */
@NullMarked
package dev.cofferdam.broker.vault;

import org.jspecify.annotations.NullMarked;
