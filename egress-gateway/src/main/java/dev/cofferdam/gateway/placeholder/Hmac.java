package dev.cofferdam.gateway.placeholder;

import dev.cofferdam.kit.egress.SigningTemplate;

/**
 * What the broker has to be told to sign a request by HMAC. How it signs is its own affair.
 *
 * @param timestampHeader lower case; empty where the broker's time is told elsewhere or not at all
 */
public record Hmac(SigningTemplate message, String timestampHeader) {}
