package dev.cofferdam.loadtest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** The services that have part in a request, seen from their host. */
final class MeshView implements AutoCloseable {
  static final String GATEWAY = "egress-gateway";
  static final String EDGE = "edge-gateway";
  private static final List<String> PARTS = List.of(GATEWAY, "vault-broker", "postgres");

  private final Path state;
  private final Metrics gateway;

  private MeshView(Path state, Metrics gateway) {
    this.state = state;
    this.gateway = gateway;
  }

  static MeshView open(Path state) throws IOException {
    return new MeshView(state, Metrics.of(state, "gateway"));
  }

  /** What was used up to one moment. */
  record Moment(Map<String, ProcessorTime> processors, Map<String, Double> gateway) {}

  Moment now() throws IOException {
    Map<String, ProcessorTime> processors = new LinkedHashMap<>();
    for (String part : PARTS) {
      processors.put(part, ProcessorTime.of(processes(part)));
    }
    return new Moment(processors, gateway.read());
  }

  /** With those that it started: PostgreSQL has a process for each connection. */
  private List<Long> processes(String part) throws IOException {
    long pid = pid(part);
    return Stream.concat(
            Stream.of(pid),
            ProcessHandle.of(pid).stream()
                .flatMap(ProcessHandle::descendants)
                .map(ProcessHandle::pid))
        .toList();
  }

  private long pid(String part) throws IOException {
    return Long.parseLong(Files.readString(state.resolve("run/" + part + ".pid")).strip());
  }

  /** Of guests, open now. */
  long gatewayConnections() throws IOException {
    return Math.round(gateway.value("cofferdam_gateway_connections"));
  }

  /** Bytes of the gateway's process that are in memory. */
  long gatewayResident() throws IOException {
    return resident(GATEWAY);
  }

  /** Bytes of a service's process that are in memory. */
  long resident(String part) throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc", pid(part) + "", "status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
      }
    }
    throw new IOException(part + ": the process has no VmRSS");
  }

  @Override
  public void close() {
    gateway.close();
  }
}
