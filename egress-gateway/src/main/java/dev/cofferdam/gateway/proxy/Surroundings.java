package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.broker.BrokerClient;
import dev.cofferdam.gateway.event.Decisions;
import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.gateway.slot.PolicyLease;
import dev.cofferdam.gateway.slot.SlotTable;
import dev.cofferdam.gateway.tls.SandboxCertificates;
import io.micrometer.core.instrument.MeterRegistry;
import java.util.concurrent.Executor;
import java.util.random.RandomGenerator;

/**
 * What every connection needs.
 *
 * @param blocking runs what may block, a virtual thread each
 * @param random for the ids of requests
 */
public record Surroundings(
    SlotTable slots,
    PolicyLease lease,
    Decisions decisions,
    SandboxCertificates certificates,
    BrokerClient broker,
    UpstreamsByLoop upstreams,
    Limits limits,
    Executor blocking,
    RandomGenerator random,
    MeterRegistry meters,
    ExchangeMeters exchanges,
    Faults faults) {}
