package dev.cofferdam.deploy.mesh;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.cli.ApiToken;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ClientEnvironmentTest {
  @TempDir private Path state = Path.of("unset");

  @Test
  void eachTokenHasItsOwnVariable() throws Exception {
    Files.createDirectory(state.resolve("tokens"));
    Files.writeString(state.resolve("tokens/api"), "cfd_tk-api_x\n");
    Files.writeString(state.resolve("tokens/secrets"), "cfd_tk-secrets_y\n");

    Map<String, String> variables =
        ClientEnvironment.of(new MeshLayout(state), new MeshPorts(7600));

    assertThat(variables)
        .containsOnly(
            Map.entry("COFFERDAM_API", "127.0.0.1:7600"),
            Map.entry("COFFERDAM_BROKER", "127.0.0.2:7611"),
            Map.entry("COFFERDAM_CA", state + "/ca/ca.pem"),
            Map.entry("COFFERDAM_TOKEN", "cfd_tk-api_x"),
            Map.entry("COFFERDAM_SECRETS_TOKEN", "cfd_tk-secrets_y"),
            Map.entry("COFFERDAM_PORTS_DOMAIN", "localhost:7682"),
            Map.entry("DENO_SANDBOX_ENDPOINT", "http://127.0.0.1:7680"),
            Map.entry("DENO_DEPLOY_ENDPOINT", "http://127.0.0.1:7680"),
            Map.entry("DENO_DEPLOY_TOKEN", "ddo_cfd_tk-api_x.cfd_tk-secrets_y"));
  }

  @Test
  void theTokenThatTheSchedulerSeesCannotWriteSecrets() {
    assertThat(ApiToken.API_SCOPES).doesNotContain("secrets:write").contains("secrets:use");
    assertThat(ApiToken.SECRETS_SCOPES).contains("secrets:write").doesNotContain("secrets:use");
  }

  @Test
  void aShellReadsEveryValueAsItIs() throws Exception {
    String exports = ClientEnvironment.exports(Map.of("A", "it's $HOME `id`"));
    Process shell = new ProcessBuilder("/bin/sh", "-c", exports + "printf %s \"$A\"").start();
    assertThat(new String(shell.getInputStream().readAllBytes(), StandardCharsets.UTF_8))
        .isEqualTo("it's $HOME `id`");
  }

  @Test
  void factsAreReadBackAndTheirLackNamesTheRemedy() throws Exception {
    Path file = state.resolve("mesh.properties");
    assertThatThrownBy(() -> MeshFacts.read(file))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("./cofferdam up");
    MeshFacts facts = new MeshFacts("x", new MeshPorts(7600), Path.of("/c/bin/node-helper"));
    facts.write(file);
    assertThat(MeshFacts.read(file)).isEqualTo(facts);
  }
}
