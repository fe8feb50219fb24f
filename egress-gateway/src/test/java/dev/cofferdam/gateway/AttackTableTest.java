package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Holds docs/attacks.md to the tests that there are: each row is there, has three variants or says
 * what it lacks, and what is said to show it exists. Of the gateway's own tests also the reverse.
 */
final class AttackTableTest {
  private static final int ROWS = 60;
  private static final int FEWEST_VARIANTS = 3;
  private static final Path OWN = NamedTests.ROOT.resolve("egress-gateway/src/test/java");
  private static final Pattern MARKED =
      Pattern.compile("@AttackRow\\(\\{?([0-9, ]+)}?\\)[^;{]*?(?:\\{[^}]*})?[^;{]*?void (\\w+)\\(");

  /**
   * @param lacking what is not shown; empty where the row is whole
   */
  private record Row(int number, List<String> variants, Set<String> tests, String lacking) {}

  private static List<Row> rows() throws IOException {
    return NamedTests.table("attacks.md", 4).stream()
        .map(cells ->
            new Row(
                Integer.parseInt(cells.get(0)),
                Arrays.stream(cells.get(1).split(";", -1)).map(String::strip).distinct().toList(),
                NamedTests.in(cells.get(2)),
                cells.get(3)))
        .toList();
  }

  @Test
  void everyRowIsThereOnceAndInOrder() throws Exception {
    assertThat(rows().stream().map(Row::number))
        .containsExactlyElementsOf(IntStream.rangeClosed(1, ROWS).boxed().toList());
  }

  @Test
  void aRowHasThreeVariantsAndATestOrSaysWhatItLacks() throws Exception {
    assertThat(rows())
        .allSatisfy(row ->
            assertThat(
                    !row.lacking().isEmpty()
                        || (row.variants().size() >= FEWEST_VARIANTS && !row.tests().isEmpty()))
                .as("row %d", row.number())
                .isTrue());
  }

  @Test
  void whatIsSaidToShowItExists() throws Exception {
    NamedTests tests = NamedTests.ofRepository();
    assertThat(rows())
        .allSatisfy(row -> assertThat(row.tests()).as("row %d", row.number()).allMatch(tests::has));
  }

  @Test
  void theGatewaysTestsAndTheTableSayTheSame() throws Exception {
    Map<Integer, Set<String>> marked = new HashMap<>();
    Set<String> own = new TreeSet<>();
    try (Stream<Path> files = Files.walk(OWN)) {
      for (Path file : files.filter(NamedTests::isTest).toList()) {
        String type = NamedTests.name(file).replace(".java", "");
        own.add(type);
        Matcher marks = MARKED.matcher(Files.readString(file));
        while (marks.find()) {
          for (String row : marks.group(1).split(",", -1)) {
            marked
                .computeIfAbsent(Integer.parseInt(row.strip()), _ -> new TreeSet<>())
                .add(type + "." + marks.group(2));
          }
        }
      }
    }
    for (Row row : rows()) {
      Set<String> told = new TreeSet<>();
      row.tests().stream()
          .filter(test -> own.contains(test.replaceFirst("\\..*", "")))
          .forEach(told::add);
      assertThat(told)
          .as("row %d", row.number())
          .isEqualTo(marked.getOrDefault(row.number(), Set.of()));
    }
  }
}
