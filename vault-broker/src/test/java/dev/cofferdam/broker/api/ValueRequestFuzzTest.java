package dev.cofferdam.broker.api;

import dev.cofferdam.testkit.FuzzInputs;
import org.junit.jupiter.api.Test;

/**
 * The broker's target of the fuzzer with its seeds and some inputs that are made of them;
 * testkit/fuzz.sh gives it many more.
 */
final class ValueRequestFuzzTest {
  @Test
  void nothingThatIsSentAsASecretBreaksIt() throws Exception {
    FuzzInputs.give(
        "ValueRequest", FuzzInputs.seeds("ValueRequest"), ValueRequestFuzz::fuzzerTestOneInput);
  }
}
