package dev.cofferdam.edge.ssh;

import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/** What an operator can set of SSH; see {@link dev.cofferdam.edge.EdgeConfig}. */
public record SshSettings(
    InetSocketAddress listen,
    Optional<Path> hostKey,
    String publicHost,
    int publicPort,
    int connections,
    int channels,
    Duration authTimeout,
    Duration idle) {}
