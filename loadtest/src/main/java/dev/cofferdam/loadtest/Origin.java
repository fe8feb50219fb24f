package dev.cofferdam.loadtest;

import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * The test upstream, which all ways lead to.
 *
 * @param address where it is
 * @param directory its own, with what it serves and its certificate
 */
record Origin(String host, String address, Path directory) {
  /** Of {@code testkit/run.sh}. */
  static Origin of(Map<String, String> environment) {
    return new Origin(
        "api.echo.test",
        "203.0.113.10",
        Path.of(Api.required(environment, "COFFERDAM_UPSTREAM_DIR")));
  }

  /** That lets everything go there, and nowhere else. */
  EgressPolicy policy() {
    return EgressPolicy.newBuilder().addRules(EgressRule.newBuilder().setHost(host)).build();
  }

  Path authority() {
    return directory.resolve("ca.pem");
  }

  /** Below {@code /www/}. */
  Path file(String name) {
    return directory.resolve("www").resolve(name);
  }

  /** Of a client that asks it straight. */
  List<String> direct(List<String> request) {
    return options(address, authority(), request);
  }

  /** Of a client in a sandbox's slot. */
  List<String> from(SpeakingSandbox sandbox, List<String> request) {
    return options(sandbox.address(), sandbox.authority(), request);
  }

  /** Of a client of another proxy. */
  List<String> by(ProxyPeer peer, List<String> request) {
    InetSocketAddress proxy = peer.address();
    return options(
        address,
        peer.authority(),
        and(request, "--proxy=" + proxy.getHostString() + ":" + proxy.getPort()));
  }

  private List<String> options(String where, Path trusted, List<String> request) {
    return Stream.concat(
            Stream.of("--address=" + where, "--host=" + host, "--authority=" + trusted),
            request.stream())
        .toList();
  }

  static List<String> and(List<String> options, String more) {
    return Stream.concat(options.stream(), Stream.of(more)).toList();
  }
}
