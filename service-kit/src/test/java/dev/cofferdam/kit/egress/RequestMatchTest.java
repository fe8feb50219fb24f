package dev.cofferdam.kit.egress;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.v1.HeaderMatch;
import dev.cofferdam.v1.HttpMatch;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class RequestMatchTest {
  private static RequestFacts request(String method, String target, String... headers) {
    List<RequestFacts.Line> lines = new ArrayList<>();
    for (int i = 0; i < headers.length; i += 2) {
      lines.add(new RequestFacts.Line(headers[i], headers[i + 1]));
    }
    return new RequestFacts(method, "api.example.test", target, () -> lines, 7);
  }

  private static RequestMatch paths(String... patterns) {
    return RequestMatch.of(HttpMatch.newBuilder().addAllPaths(List.of(patterns)).build());
  }

  private static RequestMatch when(String text) {
    return RequestMatch.of(HttpMatch.newBuilder().setWhen(text).build());
  }

  private static boolean matches(RequestMatch match, RequestFacts request) throws Exception {
    return match.matches(request, false);
  }

  @ParameterizedTest
  @CsvSource({
    "/repos/*/issues, /repos/a/issues, true",
    "/repos/*/issues, /repos/a/issues?x=/other, true",
    "/repos/*/issues, /repos/a/issues/, true",
    "/repos/*/issues, /repos/a/b/issues, false",
    "/repos/*/issues, /repos//issues, ambiguous",
    "/repos/*/issues, /repos/issues, false",
    "/repos/*/issues, /Repos/a/issues, false",
    "/repos/*/issues, /repos/a%20b/issues, true",
    "/repos/*/issues, /%72epos/a/issues, true",
    "/repos/**, /repos, true",
    "/repos/**, /repos/a/b/c, true",
    "/repos/**, /repository, false",
    "/**/secret, /a/b/secret, true",
    "/**/secret, /secret, true",
    "/**/secret/*, /a/secret/b/secret/c, true",
    "/**/a/**/b, /x/a/y/a/z/b, true",
    "/**/a/**/b, /x/a/y/c, false",
    "/v*/x*y, /v1/xay, true",
    "/v*/x*y, /v1/xyz, false",
    "/, /, true",
    "/, /a, false",
    "/**, /, true",
    "/caf\u00e9, /caf%C3%A9, true",
    // What servers read differently is neither in a pattern nor outside it.
    "/public/**, /public/../admin, ambiguous",
    "/public/**, /public/./a, ambiguous",
    "/public/**, /public/%2e%2e/admin, ambiguous",
    "/public/**, /public/.%2E/admin, ambiguous",
    "/public/**, /public/%252e%252e/admin, ambiguous",
    "/public/**, /public/..%2fadmin, ambiguous",
    "/public/**, /public/..%5cadmin, ambiguous",
    "/public/**, /public/..\\admin, ambiguous",
    "/public/**, /public/..;/admin, ambiguous",
    "/public/**, /public/a;x=y, ambiguous",
    "/public/**, /public/a%3bx, ambiguous",
    "/public/**, /public/a%00.png, ambiguous",
    "/public/**, /public/a%0d%0aX, ambiguous",
    "/public/**, /public/%c0%ae%c0%ae/admin, ambiguous",
    "/public/**, /public/%ef%bc%8e%ef%bc%8e/admin, ambiguous",
    "/public/**, /public/%ef%bc%8fadmin, ambiguous",
    "/public/**, /public/%zz, ambiguous",
    "/public/**, /public/%2, ambiguous",
    "/public/**, /public%3f/admin, ambiguous",
    "/public/**, /public/a%23b, ambiguous",
    "/public/**, //public/a, ambiguous",
    "/public/**, *, ambiguous",
  })
  void aPathIsReadInOneWay(String pattern, String target, String outcome) throws Exception {
    RequestMatch match = paths(pattern);
    if (outcome.equals("ambiguous")) {
      assertThatThrownBy(() -> matches(match, request("GET", target)))
          .isInstanceOf(AmbiguousException.class);
    } else {
      assertThat(matches(match, request("GET", target))).isEqualTo(Boolean.valueOf(outcome));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "", "a", "/a//b", "/a/../b", "/a%20b", "/a;b", "/a?b", "/a/x**", "/a\\b", "/\uff0f"
      })
  void aPatternThatNothingCouldMatchIsRefused(String pattern) {
    assertThatThrownBy(() -> paths(pattern)).isInstanceOf(IllegalArgumentException.class);
  }

  /** Who writes policy and request must not hold up what the gateway does for others. */
  @Test
  void aJudgementThatTakesTooLongIsGivenUp() throws Exception {
    String[] stars = new String[20];
    for (int i = 0; i < stars.length; i++) {
      stars[i] = "/" + "a*".repeat(400) + i;
    }
    RequestFacts longPath = request("GET", "/" + "a".repeat(12_000));
    assertThatThrownBy(() -> matches(paths(stars), longPath))
        .isInstanceOf(AmbiguousException.class)
        .hasMessageContaining("too long");
    RequestMatch expression =
        when(
            "request.headers.all(a, request.headers.all(b,"
                + " !request.headers[a].matches('(x+)+y')))");
    String[] headers = new String[40];
    for (int i = 0; i < headers.length; i += 2) {
      headers[i] = "x-" + i;
      headers[i + 1] = "x".repeat(1000);
    }
    assertThatThrownBy(() -> matches(expression, request("GET", "/", headers)))
        .hasMessageContaining("too long");
    // It is what one judgement may cost, not all of them.
    assertThatThrownBy(() -> matches(paths(stars), longPath))
        .isInstanceOf(AmbiguousException.class);
    longPath.begin();
    assertThat(matches(paths("/b*"), longPath)).isFalse();
  }

  @Test
  void aMethodIsOneOfThose() throws Exception {
    RequestMatch match =
        RequestMatch.of(HttpMatch.newBuilder().addMethods("GET").addMethods("HEAD").build());

    assertThat(matches(match, request("GET", "/public/../x"))).isTrue();
    assertThat(matches(match, request("DELETE", "/"))).isFalse();
    for (RequestFacts ambiguous :
        List.of(
            request("get", "/"),
            request("GET", "/", "X-HTTP-Method-Override", "DELETE"),
            request("GET", "/", "x-method-override", "GET", "X-Method-Override", "DELETE"),
            request("GET", "/", "X-Http-Method", "PATCH"))) {
      assertThatThrownBy(() -> matches(match, ambiguous)).isInstanceOf(AmbiguousException.class);
    }
    assertThat(matches(match, request("GET", "/", "X-HTTP-Method-Override", "GET"))).isTrue();
  }

  @Test
  void headersAreThereOrNotAndOnce() throws Exception {
    RequestMatch match =
        RequestMatch.of(
            HttpMatch.newBuilder()
                .addHeaders(HeaderMatch.newBuilder().setName("x-team").setValue("red-*"))
                .addHeaders(HeaderMatch.newBuilder().setName("x-trace"))
                .addHeaders(HeaderMatch.newBuilder().setName("cookie").setAbsent(true))
                .build());

    assertThat(matches(match, request("GET", "/", "X-Team", " red-1 ", "X-Trace", ""))).isTrue();
    assertThat(matches(match, request("GET", "/", "X-Team", "blue", "X-Trace", "1"))).isFalse();
    assertThat(matches(match, request("GET", "/", "X-Team", "red-1"))).isFalse();
    assertThat(
            matches(match, request("GET", "/", "X-Team", "red-", "X-Trace", "1", "Cookie", "a=b")))
        .isFalse();
    assertThatThrownBy(() ->
            matches(
                match, request("GET", "/", "X-Team", "red-1", "x-team", "blue", "X-Trace", "1")))
        .isInstanceOf(AmbiguousException.class);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "application/json|true",
        "Application/JSON; charset=utf-8|true",
        "image/png|true",
        "text/html|false",
        "application/json-patch|false",
        "multipart/form-data; boundary=\"a,b\"|false",
        "text/html, application/json|ambiguous",
        "application/json;a=b, text/html|ambiguous",
        "application/json, text/html;a=\"x\"|ambiguous",
      })
  void contentTypesAreComparedWithoutParameters(String type, String outcome) throws Exception {
    RequestMatch match =
        RequestMatch.of(
            HttpMatch.newBuilder()
                .addContentTypes("application/json")
                .addContentTypes("image/*")
                .build());
    RequestFacts request = request("POST", "/", "Content-Type", type);
    if (outcome.equals("ambiguous")) {
      assertThatThrownBy(() -> matches(match, request)).isInstanceOf(AmbiguousException.class);
    } else {
      assertThat(matches(match, request)).isEqualTo(Boolean.valueOf(outcome));
    }
    assertThat(matches(match, request("POST", "/"))).isFalse();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "request.method == 'POST' && request.size < 8|true",
        "request.size > 7|false",
        "request.host.endsWith('.example.test')|true",
        "request.path.startsWith('/v1/')|true",
        "request.path.matches('^/v[0-9]+/items$')|true",
        "request.headers['x-team'] == 'red, blue'|true",
        "'x-none' in request.headers|false",
        "request.headers['x-none'] == 'a'|false",
        "request.query['tag'] == ['a b', 'c']|true",
        "request.query.exists(name, name == 'debug')|true",
        "has(request.query.tag) && !has(request.query.none)|true",
      })
  void anExpressionAsksForWhatTheRestCannot(String text, boolean holds) throws Exception {
    RequestFacts request =
        request("POST", "/v1/items?tag=a+b&tag=c&debug", "X-Team", "red", "x-team", "blue");

    assertThat(matches(when(text), request)).isEqualTo(holds);
  }

  @Test
  void anExpressionThatFailsComesToWhatIsSafe() throws Exception {
    RequestMatch match = when("request.headers['x-none'] == 'a'");

    assertThat(match.matches(request("GET", "/"), true)).isTrue();
    assertThat(match.matches(request("GET", "/"), false)).isFalse();
  }

  @Test
  void anExpressionSeesNoPathThatIsAmbiguousAndAnotherOneDoesNotCare() throws Exception {
    assertThatThrownBy(
            () -> matches(when("request.path != '/admin'"), request("GET", "/a/../admin")))
        .isInstanceOf(AmbiguousException.class);
    assertThatThrownBy(() -> matches(when("!('x' in request.query)"), request("GET", "/?a=1;x=2")))
        .isInstanceOf(AmbiguousException.class);
    assertThat(matches(when("request.method == 'GET'"), request("GET", "/a/../admin"))).isTrue();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "request.method = 'GET'|line 1, column 16",
        "request.metod == 'GET'|line 1, column 1",
        "request.size == 'big'|line 1, column 14",
        "request.size|expected type 'bool'",
        "unknown(request.path)|line 1, column 8",
      })
  void aMistakeIsToldWithItsPlace(String text, String message) {
    assertThatThrownBy(() -> when(text))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(message);
  }

  @Test
  void theSecondLineIsCountedToo() {
    assertThatThrownBy(() -> when("request.method == 'GET' &&\n  request.nothing"))
        .hasMessageContaining("line 2, column 3");
  }

  /** A nested comprehension over what the guest sends, and one over itself. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "request.headers.all(a, request.headers.all(b, request.headers.all(c, a != 'x-none')))",
        "[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b,"
            + " [1,2,3,4,5,6,7,8,9,10].all(c, [1,2,3,4,5,6,7,8,9,10].all(d, a+b+c+d > 0))))"
      })
  void anExpressionEndsAfterSoManySteps(String text) throws Exception {
    String[] headers = new String[200];
    for (int i = 0; i < headers.length; i++) {
      headers[i] = "x-" + i;
    }
    RequestMatch match = when(text);

    assertThat(match.matches(request("GET", "/", headers), false)).isFalse();
    assertThat(match.matches(request("GET", "/", headers), true)).isTrue();
  }

  @Test
  void anExpressionIsShortAndNotDeep() {
    assertThatThrownBy(() -> when("true" + " && true".repeat(400)))
        .hasMessageContaining("at most 2048");
    assertThatThrownBy(() -> when("(".repeat(500) + "true" + ")".repeat(500)))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void conditionsThatAreNoneOrTooManyAreRefused() {
    assertThatThrownBy(() -> RequestMatch.of(HttpMatch.getDefaultInstance()))
        .hasMessageContaining("no condition");
    assertThatThrownBy(() -> RequestMatch.of(HttpMatch.newBuilder().addMethods("get").build()))
        .hasMessageContaining("'get'");
    assertThatThrownBy(() ->
            RequestMatch.of(
                HttpMatch.newBuilder()
                    .addHeaders(HeaderMatch.newBuilder().setName("X-Team"))
                    .build()))
        .hasMessageContaining("'X-Team'");
    assertThatThrownBy(() ->
            RequestMatch.of(
                HttpMatch.newBuilder()
                    .addHeaders(HeaderMatch.newBuilder().setName("host"))
                    .build()))
        .hasMessageContaining("never sent on");
    assertThatThrownBy(
            () -> RequestMatch.of(HttpMatch.newBuilder().addContentTypes("json").build()))
        .hasMessageContaining("'json'");
    HttpMatch.Builder many = HttpMatch.newBuilder();
    for (int i = 0; i < 65; i++) {
      many.addPaths("/" + i);
    }
    assertThatThrownBy(() -> RequestMatch.of(many.build())).hasMessageContaining("65 paths");
  }
}
