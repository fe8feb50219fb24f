package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
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
  private static final int ROWS = 54;
  private static final int FEWEST_VARIANTS = 3;
  private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();
  private static final Path OWN = ROOT.resolve("egress-gateway/src/test/java");
  private static final Pattern SHOWN = Pattern.compile("`([^`]+)`");
  private static final Pattern MARKED =
      Pattern.compile("@AttackRow\\(\\{?([0-9, ]+)}?\\)[^;{]*?(?:\\{[^}]*})?[^;{]*?void (\\w+)\\(");

  /**
   * @param lacking what is not shown; empty where the row is whole
   */
  private record Row(int number, List<String> variants, Set<String> tests, String lacking) {}

  private static List<Row> rows() throws IOException {
    List<Row> rows = new ArrayList<>();
    for (String line : Files.readAllLines(ROOT.resolve("docs/attacks.md"))) {
      String[] cells = line.split("\\|", -1);
      if (cells.length == 6 && cells[1].strip().matches("[0-9]+")) {
        Set<String> tests = new TreeSet<>();
        SHOWN.matcher(cells[3]).results().forEach(shown -> tests.add(shown.group(1)));
        rows.add(
            new Row(
                Integer.parseInt(cells[1].strip()),
                Arrays.stream(cells[2].split(";", -1)).map(String::strip).distinct().toList(),
                tests,
                cells[4].strip()));
      }
    }
    return rows;
  }

  private static Map<String, String> sources() throws IOException {
    Map<String, String> byName = new HashMap<>();
    try (Stream<Path> files = Files.walk(ROOT, 12)) {
      for (Path file : files.filter(AttackTableTest::isTest).toList()) {
        byName.merge(name(file), Files.readString(file), String::concat);
      }
    }
    return byName;
  }

  private static boolean isTest(Path file) {
    return !file.toString().contains("/target/")
        && name(file).matches("\\w+(Test\\.java|_test\\.go)|test_\\w+\\.py|\\w+Contract\\.java");
  }

  private static String name(Path file) {
    return file.getFileName().toString();
  }

  private static boolean exists(String test, Map<String, String> sources) {
    String[] parts = test.split("::|\\.(?=\\w+$)", 2);
    if (parts.length < 2) {
      return false;
    }
    String file = test.contains("::") ? parts[0] : parts[0] + ".java";
    String method = parts[1].replaceFirst("\\[.*", "").replaceFirst(".*::", "");
    return Pattern.compile("\\b(void|def|func) " + method + "\\(")
        .matcher(sources.getOrDefault(file, ""))
        .find();
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
    Map<String, String> sources = sources();
    assertThat(rows())
        .allSatisfy(row ->
            assertThat(row.tests()).as("row %d", row.number()).allMatch(t -> exists(t, sources)));
  }

  @Test
  void theGatewaysTestsAndTheTableSayTheSame() throws Exception {
    Map<Integer, Set<String>> marked = new HashMap<>();
    Set<String> own = new TreeSet<>();
    try (Stream<Path> files = Files.walk(OWN)) {
      for (Path file : files.filter(AttackTableTest::isTest).toList()) {
        String type = name(file).replace(".java", "");
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
