/**
 * The embedded store: values as ciphertext in the broker's own database, under a Tink keyset in a
 * file. Start at {@link dev.cofferdam.broker.sealed.SealedStore}.
 *
 * <p>Whoever has the database alone has nothing; whoever has the keyset file too has everything:
 * keep backups of the two apart.
 */
@NullMarked
package dev.cofferdam.broker.sealed;

import org.jspecify.annotations.NullMarked;
