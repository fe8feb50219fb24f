package dev.cofferdam.gateway.placeholder;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * A body of JSON, RFC 8259: one value, in UTF-8 without a mark, every key once, also where readers
 * do not tell its case. Written without blanks; numbers as they came.
 */
final class JsonBody {
  private static final int MAX_DEPTH = 128;
  private static final int MAX_NUMBER = 4096;

  private static final JsonFactory FACTORY =
      JsonFactory.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          // Keys are a guest's own: none of them outlives its body.
          .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
          .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(MAX_DEPTH)
                  .maxNumberLength(MAX_NUMBER)
                  .build())
          .build();

  /** An object or array that is being read. */
  private static final class Level {
    final boolean array;
    final Set<String> keys = new HashSet<>();
    String key = "";
    int index = -1;

    Level(boolean array) {
      this.array = array;
    }

    String step() {
      return "/" + (array ? String.valueOf(index) : key.replace("~", "~0").replace("/", "~1"));
    }
  }

  private final List<Part> parts = new ArrayList<>();
  private final Template template = new Template();

  /** From the innermost to the outermost. */
  private final Deque<Level> levels = new ArrayDeque<>();

  private JsonBody() {}

  static Parsed parse(byte[] body) throws MalformedBodyException {
    String text = Utf8.decode(body).orElseThrow(() -> new MalformedBodyException("no UTF-8"));
    JsonBody read = new JsonBody();
    try (JsonParser parser = FACTORY.createParser(text)) {
      for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
        read.token(parser, token);
      }
    } catch (IOException e) {
      // Not what it says: it quotes what it read.
      throw new MalformedBodyException("no JSON that all read alike");
    }
    return new Parsed(read.parts, read.template);
  }

  private void token(JsonParser parser, JsonToken token)
      throws IOException, MalformedBodyException {
    switch (token) {
      case END_OBJECT -> {
        levels.pop();
        template.literal("}");
      }
      case END_ARRAY -> {
        levels.pop();
        template.literal("]");
      }
      case FIELD_NAME -> key(parser.currentName());
      default -> value(parser, token);
    }
  }

  private void key(String key) throws MalformedBodyException {
    Level object = levels.element();
    if (!object.keys.add(key.toLowerCase(Locale.ROOT))) {
      throw new MalformedBodyException("JSON with a key that stands twice, in whatever case");
    }
    template.literal(object.keys.size() > 1 ? ",\"" : "\"");
    object.key = key;
    parts.add(Part.of(new Target.Elsewhere("body"), Utf8.bytes(key)));
    quote(key);
    template.literal("\":");
  }

  private void value(JsonParser parser, JsonToken token)
      throws IOException, MalformedBodyException {
    Level around = levels.peek();
    if (around != null && around.array) {
      template.literal(++around.index > 0 ? "," : "");
    } else if (around == null && !parts.isEmpty()) {
      throw new MalformedBodyException("more than one value of JSON");
    }
    switch (token) {
      case START_OBJECT -> {
        levels.push(new Level(false));
        template.literal("{");
      }
      case START_ARRAY -> {
        levels.push(new Level(true));
        template.literal("[");
      }
      case VALUE_STRING -> string(parser.getText());
      default -> template.literal(parser.getText());
    }
    if (around == null) {
      // So that a second value at the top is seen, whatever the first one is.
      parts.add(Part.of(new Target.Elsewhere("body"), ""));
    }
  }

  private void string(String text) {
    StringBuilder pointer = new StringBuilder();
    levels.descendingIterator().forEachRemaining(level -> pointer.append(level.step()));
    boolean whole = Utf8.valid(text);
    Part part =
        new Part(
            new Target.Json(pointer.toString()),
            Utf8.bytes(text),
            whole ? "" : "with half of a character");
    parts.add(part);
    template.literal("\"");
    if (whole && !part.found().isEmpty()) {
      template.text(part.text(), Escape.JSON);
    } else {
      quote(text);
    }
    template.literal("\"");
  }

  private void quote(String text) {
    StringBuilder out = new StringBuilder(text.length());
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '"' || c == '\\') {
        out.append('\\').append(c);
      } else if (c < 0x20 || (Character.isSurrogate(c) && !paired(text, i))) {
        out.append("\\u%04x".formatted((int) c));
      } else {
        out.append(c);
      }
    }
    template.literal(Utf8.bytes(out.toString()));
  }

  private static boolean paired(String text, int at) {
    return Character.isHighSurrogate(text.charAt(at))
        ? at + 1 < text.length() && Character.isLowSurrogate(text.charAt(at + 1))
        : at > 0 && Character.isHighSurrogate(text.charAt(at - 1));
  }
}
