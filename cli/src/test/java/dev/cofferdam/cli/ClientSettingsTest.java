package dev.cofferdam.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ClientSettingsTest {
  @TempDir private Path state = Path.of("unset");

  @Test
  void theEnvironmentIsEnough() {
    ClientSettings settings =
        ClientSettings.read(
            Map.of(
                "COFFERDAM_API", "mesh.example.com:7400",
                "COFFERDAM_BROKER", "mesh.example.com:7411",
                "COFFERDAM_CA", "/etc/mesh.pem",
                "COFFERDAM_TOKEN", "cfd_tk-a_b",
                "COFFERDAM_SECRETS_TOKEN", "cfd_tk-c_d",
                "COFFERDAM_STATE", state.toString()));
    assertThat(settings.api()).isEqualTo("mesh.example.com:7400");
    assertThat(settings.requiredBroker()).isEqualTo("mesh.example.com:7411");
    assertThat(settings.ca()).isEqualTo(Path.of("/etc/mesh.pem"));
    assertThat(settings.requiredToken()).isEqualTo("cfd_tk-a_b");
    assertThat(settings.requiredSecretsToken()).isEqualTo("cfd_tk-c_d");
    assertThat(settings.toString()).doesNotContain("cfd_");
  }

  @Test
  void withoutAnEnvironmentTheMeshOfThisMachineIsMeant() throws Exception {
    Files.writeString(state.resolve("mesh.properties"), "mesh=x\nport-base=7600\n");
    Files.createDirectory(state.resolve("tokens"));
    Files.writeString(state.resolve("tokens/api"), "cfd_tk-a_b\n");
    ClientSettings settings = ClientSettings.read(Map.of("COFFERDAM_STATE", state.toString()));
    assertThat(settings.api()).isEqualTo("127.0.0.1:7600");
    assertThat(settings.requiredBroker()).isEqualTo("127.0.0.1:7611");
    assertThat(settings.ca()).isEqualTo(state.resolve("ca/ca.pem"));
    assertThat(settings.operator()).isEqualTo(state.resolve("operator"));
    assertThat(settings.requiredToken()).isEqualTo("cfd_tk-a_b");
    assertThatThrownBy(settings::requiredSecretsToken)
        .isInstanceOf(ClientException.class)
        .hasMessageContaining("COFFERDAM_SECRETS_TOKEN");
  }

  @Test
  void withoutAMeshTheRemedyIsNamed() {
    assertThatThrownBy(() -> ClientSettings.read(Map.of("COFFERDAM_STATE", state.toString())))
        .isInstanceOf(ClientException.class)
        .hasMessageContaining("./cofferdam up");
  }

  @Test
  void anApiWithoutABrokerIsEnoughUntilTheBrokerIsNeeded() {
    ClientSettings settings = ClientSettings.read(Map.of("COFFERDAM_API", "a:1"));
    assertThatThrownBy(settings::requiredBroker).hasMessageContaining("COFFERDAM_BROKER");
  }
}
