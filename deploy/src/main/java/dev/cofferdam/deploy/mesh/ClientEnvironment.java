package dev.cofferdam.deploy.mesh;

import java.io.IOException;
import java.nio.file.Files;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * The variables a client of the mesh reads. {@code COFFERDAM_TOKEN} never has {@code
 * secrets:write}: it goes to the scheduler too.
 */
public final class ClientEnvironment {
  private ClientEnvironment() {}

  public static Map<String, String> of(MeshLayout layout, MeshPorts ports) throws IOException {
    Map<String, String> variables = new LinkedHashMap<>();
    variables.put("COFFERDAM_API", ports.schedulerAddress());
    variables.put("COFFERDAM_BROKER", ports.brokerTenantsAddress());
    variables.put("COFFERDAM_CA", layout.authorityCertificate().toString());
    variables.put("COFFERDAM_TOKEN", Files.readString(layout.tokens().resolve("api")).strip());
    variables.put(
        "COFFERDAM_SECRETS_TOKEN", Files.readString(layout.tokens().resolve("secrets")).strip());
    // What stands behind <port>-<sandbox>. in the URL of a port.
    variables.put("COFFERDAM_PORTS_DOMAIN", "localhost:" + ports.edgePorts());
    variables.putAll(deno(ports, variables));
    return variables;
  }

  /**
   * For the Deno Sandbox SDKs, at the edge. Their one token holds both of ours; the edge gives each
   * service its own.
   */
  private static Map<String, String> deno(MeshPorts ports, Map<String, String> ours) {
    String endpoint = "http://" + MeshPorts.local(ports.edge());
    return Map.of(
        "DENO_SANDBOX_ENDPOINT",
        endpoint,
        "DENO_DEPLOY_ENDPOINT",
        endpoint,
        "DENO_DEPLOY_TOKEN",
        "ddo_" + ours.get("COFFERDAM_TOKEN") + "." + ours.get("COFFERDAM_SECRETS_TOKEN"));
  }

  /** For {@code eval} in a POSIX shell. */
  public static String exports(Map<String, String> variables) {
    return variables.entrySet().stream()
        .map(variable ->
            "export %s='%s'\n"
                .formatted(variable.getKey(), variable.getValue().replace("'", "'\\''")))
        .collect(Collectors.joining());
  }
}
