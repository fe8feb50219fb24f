package dev.cofferdam.gateway.placeholder;

import java.nio.charset.StandardCharsets;
import java.util.List;

/**
 * Whatever a body is: written anew it has the same parts, and with a value in one of them that one
 * alone is another.
 */
public final class BodyFormatsFuzz {
  private static final String GUESTS = "b";
  private static final String OWN = "cofferdam-5f3a91c07e2d4b68";

  private BodyFormatsFuzz() {}

  public static void fuzzerTestOneInput(byte[] input) {
    BodyFormat.Kind kind =
        switch (input.length == 0 ? 0 : input[0]) {
          case '{', '[', '"' -> BodyFormat.Kind.JSON;
          case '-' -> BodyFormat.Kind.MULTIPART;
          default -> BodyFormat.Kind.FORM;
        };
    Parsed parsed;
    try {
      parsed = new BodyFormat(kind, GUESTS).parse(input, OWN);
    } catch (MalformedBodyException e) {
      // As it should be.
      return;
    }
    check(kind, parsed, "");
    check(kind, parsed, HostileValue.placeholder(parsed.parts()));
  }

  private static void check(BodyFormat.Kind kind, Parsed parsed, String placeholder) {
    List<Part> expected =
        parsed.parts().stream().map(part -> HostileValue.filled(part, placeholder)).toList();
    String written = "";
    try {
      written = HostileValue.render(parsed.template(), placeholder);
      List<Part> read =
          new BodyFormat(kind, OWN)
              .parse(written.getBytes(StandardCharsets.ISO_8859_1), OWN)
              .parts();
      if (!read.equals(expected)) {
        throw new AssertionError("written as " + written + "\nread as " + read);
      }
    } catch (MalformedBodyException | Template.UnrepresentableException e) {
      throw new AssertionError("written as " + written, e);
    }
  }
}
