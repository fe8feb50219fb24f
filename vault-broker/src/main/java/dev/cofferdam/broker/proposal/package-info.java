/**
 * What a sandbox was let do in mode LEARN, read from the audit, and the smallest policy that would
 * let it do the same. Start at {@link dev.cofferdam.broker.proposal.Proposals}.
 */
@NullMarked
package dev.cofferdam.broker.proposal;

import org.jspecify.annotations.NullMarked;
