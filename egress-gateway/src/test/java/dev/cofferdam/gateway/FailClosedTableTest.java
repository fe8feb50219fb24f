package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * Holds docs/fail-closed.md to the tests that there are: no line without one, and none that is not
 * there.
 */
final class FailClosedTableTest {
  /** Of the table: fewer, and lines were lost or are no longer read as such. */
  private static final int FEWEST_LINES = 30;

  private static List<List<String>> lines() throws IOException {
    return NamedTests.table("fail-closed.md", 3);
  }

  @Test
  void everyLineSaysWhatHappensAndWhatShowsIt() throws Exception {
    assertThat(lines()).hasSizeGreaterThanOrEqualTo(FEWEST_LINES);
    assertThat(lines())
        .allSatisfy(line -> {
          assertThat(line).as(line.getFirst()).noneMatch(String::isEmpty);
          assertThat(NamedTests.in(line.get(2))).as(line.getFirst()).isNotEmpty();
        });
    assertThat(lines().stream().map(List::getFirst)).doesNotHaveDuplicates();
  }

  @Test
  void whatIsSaidToShowItExists() throws Exception {
    NamedTests tests = NamedTests.ofRepository();
    assertThat(lines())
        .allSatisfy(line ->
            assertThat(NamedTests.in(line.get(2))).as(line.getFirst()).allMatch(tests::has));
  }
}
