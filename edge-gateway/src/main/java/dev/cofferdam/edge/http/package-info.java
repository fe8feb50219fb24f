/**
 * HTTP/1.1 and HTTP/2 as port URLs take them: parsed strictly into one neutral form and written
 * anew from it, as the egress gateway does on the way out (ADR 40). Start at {@link
 * dev.cofferdam.edge.http.Http1Parser}.
 */
@NullMarked
package dev.cofferdam.edge.http;

import org.jspecify.annotations.NullMarked;
