package dev.cofferdam.node.registry;

/**
 * What a node says of itself that does not change while it runs.
 *
 * @param address host:port of the mesh listener
 * @param isolation as the API spells it
 */
public record NodeFacts(
    String address,
    int vcpus,
    int memoryMib,
    int diskMib,
    int slots,
    String isolation,
    String hypervisor,
    String slotPrefix) {}
