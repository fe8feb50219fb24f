package dev.cofferdam.edge;

import dev.cofferdam.kit.config.Settings;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;

/** An edge over a mesh that is made up. */
final class TestEdge {
  private TestEdge() {}

  /**
   * @param settings beside those that each needs
   */
  static EdgeApp start(FakeMesh mesh, Map<String, String> settings) throws IOException {
    Map<String, String> all = new HashMap<>(settings);
    all.putAll(
        Map.of(
            "listen", "127.0.0.1:0",
            "admin.listen", "127.0.0.1:0",
            "ports.listen", "127.0.0.1:0",
            "tls.authority", "/none"));
    return EdgeApp.start(
        EdgeConfig.read(Settings.of("edge-gateway", "test", all, Map.of())), mesh.client());
  }
}
