package dev.cofferdam.gateway.http;

import java.util.function.UnaryOperator;

/** Whatever an upstream says: however it is cut it is the same. */
public final class Http1AnswersFuzz {
  private Http1AnswersFuzz() {}

  private static Http1Parser parser(String method) {
    Http1Parser parser = Http1Parser.responses(16 << 10);
    parser.expectAnswer(method, UnaryOperator.identity());
    return parser;
  }

  public static void fuzzerTestOneInput(byte[] input) {
    for (String method : new String[] {"GET", "HEAD"}) {
      String whole = ParsedText.of(parser(method), input, input.length);
      String inPieces = ParsedText.of(parser(method), input, 1);
      if (!whole.equals(inPieces)) {
        throw new AssertionError("whole: " + whole + "\nin pieces: " + inPieces);
      }
    }
  }
}
