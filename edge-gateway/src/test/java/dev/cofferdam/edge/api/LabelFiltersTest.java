package dev.cofferdam.edge.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.edge.protocol.HttpError;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class LabelFiltersTest {
  @Test
  void bothSdksSpellings() throws HttpError {
    assertThat(
            LabelFilters.of(
                List.of(
                    Map.entry("labels[team]", "a b"),
                    Map.entry("labels[x]", ""),
                    Map.entry("cursor", "1"))))
        .isEqualTo(Map.of("team", "a b", "x", ""));
    assertThat(
            LabelFilters.of(
                List.of(
                    Map.entry("labels", "{'a': 'b', 'c': \"it's\", 'd': '\\\\\\x07\\u20ac\\n'}"))))
        .isEqualTo(Map.of("a", "b", "c", "it's", "d", "\\\u0007€\n"));
    assertThat(LabelFilters.of(List.of(Map.entry("labels", "{}")))).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "{",
        "{'a'",
        "{'a': 1}",
        "{'a': 'b'} ",
        "{'a': 'b\\q'}",
        "{'a': '\\U7fffffff'}",
        "{'a': __import__('os')}",
        "{'a':'b'}",
        "{1a1: 'b'}",
        "{'a': '\\xg0'}"
      })
  void nothingElseIsTaken(String text) {
    assertThatThrownBy(() -> LabelFilters.of(List.of(Map.entry("labels", text))))
        .isInstanceOf(HttpError.class);
  }

  @Test
  void labelsAreFew() throws HttpError {
    List<Map.Entry<String, String>> query = new ArrayList<>();
    for (int i = 0; i < 64; i++) {
      query.add(Map.entry("labels[n" + i + "]", "x"));
    }
    query.add(Map.entry("labels[open", "x"));
    assertThat(LabelFilters.of(query)).hasSize(64);
    query.add(Map.entry("labels[more]", "x"));
    assertThatThrownBy(() -> LabelFilters.of(query)).isInstanceOf(HttpError.class);
  }
}
