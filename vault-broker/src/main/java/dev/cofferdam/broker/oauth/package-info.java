/**
 * Access tokens by OAuth 2.0 client credentials: fetched by the broker, so that the client's secret
 * leaves it for the token endpoint alone. Start at {@link dev.cofferdam.broker.oauth.AccessTokens}.
 */
@NullMarked
package dev.cofferdam.broker.oauth;

import org.jspecify.annotations.NullMarked;
