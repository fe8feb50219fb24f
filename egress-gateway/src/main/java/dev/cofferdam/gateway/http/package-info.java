/**
 * HTTP/1.1 and HTTP/2 as the gateway understands them: parsed strictly into one neutral form and
 * written anew from it. Start at {@link dev.cofferdam.gateway.http.Http1Parser}.
 */
@NullMarked
package dev.cofferdam.gateway.http;

import org.jspecify.annotations.NullMarked;
