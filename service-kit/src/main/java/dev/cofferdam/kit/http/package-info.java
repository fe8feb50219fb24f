/**
 * HTTP/1.1 and HTTP/2 for services that stand between two parties of whom neither is trusted:
 * parsed strictly into one neutral form and written anew from it. Start at {@link
 * dev.cofferdam.kit.http.Http1Parser}.
 */
@NullMarked
package dev.cofferdam.kit.http;

import org.jspecify.annotations.NullMarked;
