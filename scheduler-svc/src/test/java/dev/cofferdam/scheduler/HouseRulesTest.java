package dev.cofferdam.scheduler;

import dev.cofferdam.testkit.HouseRules;
import java.util.Map;
import org.junit.jupiter.api.Test;

class HouseRulesTest {
  @Test
  void theStructureHolds() {
    HouseRules.check("scheduler", Map.of());
  }
}
