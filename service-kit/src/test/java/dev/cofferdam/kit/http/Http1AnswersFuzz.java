package dev.cofferdam.kit.http;

/** Whatever an upstream says: however it is cut it is the same. */
public final class Http1AnswersFuzz {
  private Http1AnswersFuzz() {}

  private static Http1Parser parser(String method) {
    Http1Parser parser = Http1Parser.responses(16 << 10);
    parser.expectAnswer(method);
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
