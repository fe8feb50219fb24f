package dev.cofferdam.gateway.placeholder;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A body of {@code multipart/form-data}, RFC 7578, as clients write it and nothing else: lines that
 * end in CRLF, no text before the first part or behind the last, one Content-Disposition in each
 * part, its name once and without escapes. Written with a boundary of our own, so that no value can
 * be cut by the one that the guest chose, nor tell by that what it is; all else byte for byte.
 */
final class MultipartBody {
  private static final int MAX_PARTS = 1024;

  /** A field's name and what is behind it; a quote in a name is written as {@code %22}. */
  private static final Pattern DISPOSITION =
      Pattern.compile(
          "form-data; *name=\"([^\"\\\\\\p{Cntrl}]*)\"(?:; *filename=\"[^\"\\\\\\p{Cntrl}]*\")?");

  private static final Pattern HEADER =
      Pattern.compile("([!#$%&'*+.^_`|~0-9A-Za-z-]+): *([^\\p{Cntrl}]*)");

  private record Field(String head, String name, String data) {}

  private final String body;
  private final String boundary;
  private int at;

  private MultipartBody(String body, String boundary) {
    this.body = body;
    this.boundary = boundary;
  }

  /**
   * @param body one character for each byte
   * @param boundary that the guest chose
   * @param own that it is written with: nobody could have guessed it
   */
  static Parsed parse(String body, String boundary, String own) throws MalformedBodyException {
    List<Field> fields = new MultipartBody(body, boundary).fields();
    Map<String, Integer> names = new HashMap<>();
    fields.forEach(field -> names.merge(field.name(), 1, Integer::sum));
    List<Part> parts = new ArrayList<>();
    Template template = new Template();
    for (Field field : fields) {
      int times = names.getOrDefault(field.name(), 0);
      Part part =
          new Part(
              new Target.Multipart(field.name()),
              field.data(),
              times > 1 ? "which stands " + times + " times" : "");
      parts.add(Part.of(new Target.Elsewhere("body"), field.head()));
      parts.add(part);
      template.literal("--").literal(own).literal("\r\n").literal(field.head()).literal("\r\n\r\n");
      if (part.fault().isEmpty()) {
        template.text(field.data(), Escape.NONE);
      } else {
        template.literal(field.data());
      }
      template.literal("\r\n");
    }
    template.literal("--").literal(own).literal("--\r\n");
    return new Parsed(parts, template);
  }

  private List<Field> fields() throws MalformedBodyException {
    List<Field> fields = new ArrayList<>();
    expect("--" + boundary);
    while (!taken("--")) {
      expect("\r\n");
      int headEnd = body.indexOf("\r\n\r\n", at);
      if (headEnd < 0 || fields.size() == MAX_PARTS) {
        throw malformed();
      }
      String head = body.substring(at, headEnd);
      at = headEnd + 4;
      int end = body.indexOf("\r\n--" + boundary, at);
      if (end < 0) {
        throw malformed();
      }
      String data = body.substring(at, end);
      // Where a reader takes a lone LF for the end of a line, or the empty line for the one before.
      if (data.contains("\n--" + boundary) || data.startsWith("--" + boundary)) {
        throw malformed();
      }
      fields.add(new Field(head, name(head), data));
      at = end + 4 + boundary.length();
    }
    if (at < body.length()) {
      expect("\r\n");
    }
    if (at < body.length() || fields.isEmpty()) {
      throw malformed();
    }
    return fields;
  }

  private void expect(String text) throws MalformedBodyException {
    if (!taken(text)) {
      throw malformed();
    }
  }

  private boolean taken(String text) {
    boolean there = body.startsWith(text, at);
    at += there ? text.length() : 0;
    return there;
  }

  private static String name(String head) throws MalformedBodyException {
    List<String> names = new ArrayList<>();
    for (String line : head.split("\r\n", -1)) {
      Matcher header = HEADER.matcher(line);
      if (!header.matches()) {
        throw malformed();
      }
      if (header.group(1).equalsIgnoreCase("content-disposition")) {
        Matcher disposition = DISPOSITION.matcher(header.group(2));
        if (!disposition.matches()) {
          throw malformed();
        }
        names.add(disposition.group(1));
      } else if (header.group(1).equalsIgnoreCase("content-transfer-encoding")) {
        throw malformed();
      }
    }
    if (names.size() != 1) {
      throw malformed();
    }
    return names.getFirst();
  }

  private static MalformedBodyException malformed() {
    return new MalformedBodyException("no multipart/form-data that all read alike");
  }
}
