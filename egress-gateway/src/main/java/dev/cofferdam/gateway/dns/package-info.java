/**
 * The guest's only resolver: answers synthetic addresses for allowed names and asks nobody. Start
 * at {@link dev.cofferdam.gateway.dns.DnsAnswers}.
 */
@NullMarked
package dev.cofferdam.gateway.dns;

import org.jspecify.annotations.NullMarked;
