package dev.cofferdam.node.pressure;

import java.util.OptionalDouble;

/**
 * What the host has left.
 *
 * @param memoryMib that programs can have without swapping: MemAvailable of proc_meminfo(5)
 * @param memoryStall percent of the last 10 s in which some task waited for memory (PSI); empty
 *     where the kernel does not say
 * @param diskMib that an unprivileged user can still write where the sandboxes lie
 * @param pids that the kernel still gives, threads included
 * @param descriptors that this process can still open
 */
public record HostView(
    long memoryMib, OptionalDouble memoryStall, long diskMib, long pids, long descriptors) {}
