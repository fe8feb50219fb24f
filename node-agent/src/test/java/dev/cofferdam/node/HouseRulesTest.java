package dev.cofferdam.node;

import dev.cofferdam.testkit.HouseRules;
import java.util.Map;
import org.junit.jupiter.api.Test;

class HouseRulesTest {
  @Test
  void theStructureHolds() {
    HouseRules.check("node", Map.of());
  }
}
