package dev.cofferdam.edge.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.edge.protocol.SdkError;
import java.util.List;
import java.util.OptionalInt;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class GlobTest {
  private static final Glob.Syntax ALL = new Glob.Syntax(true, true, false);

  private static boolean matches(String glob, Glob.Syntax syntax, String path) throws SdkError {
    return Pattern.compile(Glob.of(glob, syntax).expression()).matcher(path).find();
  }

  /** What RE2 has of these expressions, Java has too. */
  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "/a/*.ts ; /a/x.ts ; /a/b/x.ts",
        "/a/**/*.ts ; /a/x.ts ; /a/x.tsx",
        "/a/**/*.ts ; /a/b/c/x.ts ; /ab/x.ts",
        "/a/** ; /a/b/c ; /ab",
        "/a/** ; /a ; /",
        "/a/?.c ; /a/x.c ; /a/xy.c",
        "/a/?.c ; /a/\uD83D\uDE00.c ; /a//.c",
        "/a/{b,c}.d ; /a/c.d ; /a/b,c.d",
        "/a/[b-d]x ; /a/cx ; /a/ex",
        "/a/[!b-d]x ; /a/ex ; /a/cx",
        "/a/[!b]x ; /a/cx ; /a//x",
        "/a/[]] ; /a/] ; /a/x",
        "/a/[.]x ; /a/.x ; /a/bx",
        "/a/[b ; /a/[b ; /a/b",
        "/a/+(b|c) ; /a/bcb ; /a/",
        "/a/?(b)c ; /a/c ; /a/bbc",
        "/a/@(b|c) ; /a/b ; /a/bc",
        "/a/*(b)c ; /a/bbc ; /a/dc",
        "/a/{b ; /a/{b ; /a/b",
        "/a/\\* ; /a/* ; /a/b",
        "/a.b/c+d ; /a.b/c+d ; /axb/ccd",
        "/a/./b/../* ; /a/x ; /a/b/x",
        "/a/*** ; /a/x ; /a/x/y",
        "/a/b|c ; /a/b|c ; /a/b",
      })
  void itMatchesWholePaths(String glob, String matching, String other) throws Exception {
    assertThat(matches(glob, ALL, matching)).as(matching).isTrue();
    assertThat(matches(glob, ALL, other)).as(other).isFalse();
    assertThat(matches(glob, ALL, matching + "/x") && !glob.endsWith("**")).isFalse();
  }

  @Test
  void theSyntaxIsAsAsked() throws Exception {
    Glob.Syntax plain = new Glob.Syntax(false, false, true);
    assertThat(matches("/a/**/x", plain, "/a/b/c/x")).isFalse();
    assertThat(matches("/a/**/x", plain, "/a/b/X")).isTrue();
    assertThat(matches("/a/+(b)", plain, "/a/+(b)")).isTrue();
  }

  @Test
  void itBeginsWhereItMay() throws Exception {
    assertThat(Glob.of("/a/b/*.c", ALL).directory()).isEqualTo("/a/b");
    assertThat(Glob.of("/a/b/*/c", ALL).depth()).isEqualTo(OptionalInt.of(2));
    assertThat(Glob.of("/a/**/c", ALL).depth()).isEmpty();
    assertThat(Glob.of("/a/b", ALL)).isEqualTo(new Glob("/a", OptionalInt.of(1), "^/a/b$", false));
    assertThat(Glob.of("/a/\\*/c", ALL).directory())
        .as("not the text of an escape")
        .isEqualTo("/a");
    assertThat(Glob.of("/*/", ALL).directoriesAlone()).isTrue();
    assertThat(Glob.of("/[[:digit:]x]", ALL).expression()).isEqualTo("^/[[:digit:]x]$");
    assertThat(Glob.of("/", ALL)).isEqualTo(new Glob("/", OptionalInt.of(0), "^/$", true));
  }

  @ParameterizedTest
  @ValueSource(strings = {"/a/!(b)", "/a/*/../b"})
  void whatCannotBeSaidIsRefused(String glob) {
    assertThatThrownBy(() -> Glob.of(glob, ALL)).isInstanceOf(SdkError.class);
  }

  /** Whatever stands in it, it is an expression, and one for its own paths alone. */
  @Test
  void noTextMakesAnExpressionThatIsNone() throws Exception {
    for (String text :
        List.of(
            "(", ")", "a)", "(a", "{a,(b}", "[", "[]", "[a", "[!", "\\", "+", "*)", "{,}", "@(a",
            "a|b)", "[\\]", "[z-a", "^$", "a{2}")) {
      assertThat(matches("/dir/" + text, ALL, "/elsewhere/x")).as(text).isFalse();
    }
  }
}
