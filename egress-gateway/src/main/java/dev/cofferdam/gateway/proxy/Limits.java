package dev.cofferdam.gateway.proxy;

import java.time.Duration;

/** How much a guest or an upstream may ask of the gateway; see {@code GatewayConfig}. */
public record Limits(
    int headerBytes,
    int bodyScanBytes,
    int connectionsPerSandbox,
    int materialisationsPerSandbox,
    Duration headerTimeout,
    Duration idleTimeout,
    Duration connectTimeout,
    Duration answerTimeout) {}
