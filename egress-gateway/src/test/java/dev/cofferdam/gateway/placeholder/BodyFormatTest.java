package dev.cofferdam.gateway.placeholder;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.kit.http.Headers;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Bodies as an attacker makes them: pieces of good ones in any order. */
final class BodyFormatTest {
  private static final String PLACEHOLDER =
      "cofferdam_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0Uv4";
  private static final String VALUE = "v\"\\&=%\r-/\u00c3\u00a9";
  private static final int ROUNDS = 4000;
  private static final BodyFormat FORM = format("application/x-www-form-urlencoded");
  private static final BodyFormat JSON = format("application/json");
  private static final BodyFormat MULTIPART = format("multipart/form-data; boundary=b");

  private static BodyFormat format(String type) {
    return BodyFormat.of(Headers.of("content-type", type)).orElseThrow();
  }

  private static String body(Random random, String... pieces) {
    StringBuilder body = new StringBuilder();
    int length = 1 + random.nextInt(14);
    for (int i = 0; i < length; i++) {
      body.append(pieces[random.nextInt(pieces.length)]);
    }
    return body.toString();
  }

  /** One character for each byte. */
  private static String filled(Template template) throws Exception {
    try (SecretValue value = new SecretValue(VALUE.length())) {
      for (int i = 0; i < VALUE.length(); i++) {
        value.set(i, (byte) VALUE.charAt(i));
      }
      try (SecretValue rendered = template.render(Map.of(PLACEHOLDER, value))) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < rendered.length(); i++) {
          text.append((char) rendered.at(i));
        }
        return text.toString();
      }
    }
  }

  /** The parts in which a value was to be put, with it. */
  private static List<String> wanted(Parsed parsed) {
    return parsed.parts().stream()
        .filter(part -> !(part.target() instanceof Target.Elsewhere))
        .map(part -> part.fault().isEmpty() ? part.text().replace(PLACEHOLDER, VALUE) : part.text())
        .toList();
  }

  private static List<String> texts(Parsed parsed) {
    return parsed.parts().stream()
        .filter(part -> !(part.target() instanceof Target.Elsewhere))
        .map(Part::text)
        .toList();
  }

  private interface Check {
    void on(Parsed parsed, String rendered) throws Exception;
  }

  private static void fuzz(BodyFormat format, long seed, Check check, String... pieces)
      throws Exception {
    Random random = new Random(seed);
    int good = 0;
    for (int round = 0; round < ROUNDS; round++) {
      String body = body(random, pieces);
      Parsed parsed;
      try {
        parsed = format.parse(body.getBytes(StandardCharsets.ISO_8859_1), "own");
      } catch (MalformedBodyException e) {
        assertThat(e).hasMessageNotContaining(PLACEHOLDER);
        continue;
      }
      good++;
      check.on(parsed, filled(parsed.template()));
    }
    assertThat(good).isGreaterThan(5);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void aFormReadsAsItWasMeant(long seed) throws Exception {
    fuzz(
        FORM,
        seed,
        (parsed, rendered) ->
            assertThat(texts(Pairs.parse(rendered, Target.Form::new))).isEqualTo(wanted(parsed)),
        "key",
        "=",
        "&",
        ";",
        "%3d",
        "%",
        "+",
        "a",
        PLACEHOLDER,
        "\u00e9");
  }

  @ParameterizedTest
  @ValueSource(longs = {4, 5, 6})
  void multipartReadsAsItWasMeant(long seed) throws Exception {
    String part = "--b\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\n";
    fuzz(
        MULTIPART,
        seed,
        (parsed, rendered) ->
            assertThat(texts(MultipartBody.parse(rendered, "own", "other")))
                .isEqualTo(wanted(parsed)),
        part,
        part.replace("\"k\"", "\"l\"; filename=\"f\""),
        "\r\n" + part,
        "\r\n" + part,
        "\r\n--b--\r\n",
        "\r\n--b--",
        "\r\n--b",
        "\n--b",
        "--",
        "\r\n",
        "x",
        PLACEHOLDER,
        "\u0000\u00ff");
  }

  @ParameterizedTest
  @ValueSource(longs = {7, 8, 9})
  void jsonReadsAsItWasMeant(long seed) throws Exception {
    fuzz(
        JSON,
        seed,
        (parsed, rendered) -> {
          String json =
              new String(rendered.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
          List<String> strings = new ArrayList<>();
          try (JsonParser parser = new JsonFactory().createParser(json)) {
            for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
              if (token == JsonToken.VALUE_STRING) {
                strings.add(Utf8.bytes(parser.getText()));
              }
            }
          } catch (IOException e) {
            throw new AssertionError("not JSON: " + json, e);
          }
          assertThat(strings).isEqualTo(wanted(parsed).stream().filter(s -> !s.isEmpty()).toList());
        },
        "{\"a\":",
        "{\"b\\u0041\":",
        "}",
        "[",
        "]",
        ",",
        ",\"c\":",
        "\"x" + PLACEHOLDER + "\"",
        "\"\\ud83d\\ude00\\\"\\\\\"",
        "1.50e-3",
        "true",
        " ",
        "'",
        "\u00e9");
  }
}
