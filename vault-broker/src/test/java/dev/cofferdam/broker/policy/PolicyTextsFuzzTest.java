package dev.cofferdam.broker.policy;

import dev.cofferdam.testkit.FuzzInputs;
import org.junit.jupiter.api.Test;

/** The target of the fuzzer with its seeds and some inputs that are made of them. */
final class PolicyTextsFuzzTest {
  @Test
  void nothingThatATenantWritesBreaksIt() throws Exception {
    FuzzInputs.give(
        "PolicyTexts", FuzzInputs.seeds("PolicyTexts"), PolicyTextsFuzz::fuzzerTestOneInput);
  }
}
