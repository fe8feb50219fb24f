package dev.cofferdam.broker.oauth;

import dev.cofferdam.testkit.FuzzInputs;
import org.junit.jupiter.api.Test;

final class JsonMembersFuzzTest {
  @Test
  void whateverATokenEndpointAnswersIsReadOrRefused() throws Exception {
    FuzzInputs.give(
        "JsonMembers", FuzzInputs.seeds("JsonMembers"), JsonMembersFuzz::fuzzerTestOneInput);
  }
}
