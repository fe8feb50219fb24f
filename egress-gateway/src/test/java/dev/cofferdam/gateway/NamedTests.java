package dev.cofferdam.gateway;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Tests as documents name them: {@code NameTest.method} or {@code file::test}, in backquotes. */
final class NamedTests {
  static final Path ROOT = Path.of("..").toAbsolutePath().normalize();
  private static final Pattern NAMED = Pattern.compile("`([^`]+)`");
  private final Map<String, String> sources = new HashMap<>();

  private NamedTests() {}

  /** All that the repository has, in whatever language. */
  static NamedTests ofRepository() throws IOException {
    NamedTests tests = new NamedTests();
    try (Stream<Path> files = Files.walk(ROOT, 12)) {
      for (Path file : files.filter(NamedTests::isTest).toList()) {
        tests.sources.merge(name(file), Files.readString(file), String::concat);
      }
    }
    return tests;
  }

  static boolean isTest(Path file) {
    return !file.toString().contains("/target/")
        && name(file).matches("\\w+(Test\\.java|_test\\.go)|test_\\w+\\.py|\\w+Contract\\.java");
  }

  static String name(Path file) {
    return file.getFileName().toString();
  }

  /** Every row of a table in a document of docs/, its cells stripped; without its head. */
  static List<List<String>> table(String document, int columns) throws IOException {
    return Files.readAllLines(ROOT.resolve("docs").resolve(document)).stream()
        .map(line -> line.split("\\|", -1))
        .filter(cells -> cells.length == columns + 2)
        .map(cells -> Arrays.stream(cells, 1, columns + 1).map(String::strip).toList())
        .filter(cells -> !cells.getFirst().matches("-+"))
        .skip(1)
        .toList();
  }

  static Set<String> in(String cell) {
    return NAMED
        .matcher(cell)
        .results()
        .map(named -> named.group(1))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  boolean has(String test) {
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
}
