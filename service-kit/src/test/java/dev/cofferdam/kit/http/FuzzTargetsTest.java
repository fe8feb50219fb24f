package dev.cofferdam.kit.http;

import dev.cofferdam.testkit.FuzzInputs;
import org.junit.jupiter.api.Test;

/**
 * Each target of the fuzzer with those inputs that it begins with, those that it once found, and
 * some that are made of both here. testkit/fuzz.sh gives it many more.
 */
final class FuzzTargetsTest {
  @Test
  void nothingThatIsAskedBreaksIt() throws Exception {
    FuzzInputs.give(
        "Http1Requests", FuzzInputs.seeds("Http1Requests"), Http1RequestsFuzz::fuzzerTestOneInput);
  }

  @Test
  void nothingThatIsAnsweredBreaksIt() throws Exception {
    FuzzInputs.give(
        "Http1Answers", FuzzInputs.seeds("Http1Answers"), Http1AnswersFuzz::fuzzerTestOneInput);
  }
}
