package dev.cofferdam.broker;

import dev.cofferdam.testkit.HouseRules;
import java.util.Map;
import org.junit.jupiter.api.Test;

class HouseRulesTest {
  @Test
  void theStructureHolds() {
    HouseRules.check(
        "broker",
        Map.of(
            "com.google.crypto.tink", "sealed",
            "io.github.jopenlibs.vault", "vault",
            "org.bouncycastle", "ca",
            "com.zaxxer.hikari", "sql"));
  }
}
