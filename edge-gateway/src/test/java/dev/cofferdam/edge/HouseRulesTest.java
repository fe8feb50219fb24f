package dev.cofferdam.edge;

import dev.cofferdam.testkit.HouseRules;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class HouseRulesTest {
  @Test
  void theStructureHolds() {
    HouseRules.check("edge", Map.of());
  }
}
