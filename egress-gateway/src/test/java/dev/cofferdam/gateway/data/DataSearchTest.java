package dev.cofferdam.gateway.data;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.gateway.AttackRow;
import dev.cofferdam.gateway.policy.DataRules;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.kit.http.Headers;
import dev.cofferdam.kit.http.RequestHead;
import dev.cofferdam.v1.DataAction;
import dev.cofferdam.v1.DataDetector;
import dev.cofferdam.v1.EgressPolicy;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class DataSearchTest {
  private static final Host.Name HOST = (Host.Name) Host.parse("api.example.com").orElseThrow();
  private static final String MAIL = "jane.doe@example.com";
  private static final String PLACEHOLDER =
      "cofferdam_" + "A1b2C3d4E5f6G7h8I9j0A1b2C3d4E5f6G7h8I9j0abc";

  /**
   * @param left what left before the end, or before it was refused
   */
  private record Outcome(String left, List<String> found, boolean refused, boolean unreadable) {}

  private static DataRules rules(DataAction action, String... patterns) {
    dev.cofferdam.v1.DataRule.Builder rule =
        dev.cofferdam.v1.DataRule.newBuilder().setAction(action).addAllPatterns(List.of(patterns));
    if (patterns.length == 0) {
      rule.addDetectors(DataDetector.DATA_DETECTOR_EMAIL_ADDRESSES)
          .addDetectors(DataDetector.DATA_DETECTOR_CARD_NUMBERS);
    }
    return DataRules.compile(EgressPolicy.newBuilder().addData(rule).build());
  }

  private static Outcome search(DataRules rules, byte[] text, int piece, boolean grpc) {
    RequestHead head =
        new RequestHead(
            "POST",
            "api.example.com",
            "/",
            Headers.of("content-type", "text/plain"),
            -1,
            true,
            false);
    DataGuard guard = DataGuard.of(rules, HOST, head).orElseThrow();
    StringBuilder left = new StringBuilder();
    try (BodySearch search = guard.body(true, grpc)) {
      for (int at = 0; at < text.length; at += piece) {
        search.add(Unpooled.copiedBuffer(text, at, Math.min(piece, text.length - at)));
        drain(search, false, left);
      }
      drain(search, true, left);
      assertThat(search.refused().isPresent() || search.unreadable() ? 0 : search.pending())
          .isZero();
      return new Outcome(
          left.toString(), guard.found(), search.refused().isPresent(), search.unreadable());
    }
  }

  private static void drain(BodySearch search, boolean last, StringBuilder into) {
    while (!search.turn(last, part -> take(part, into))) {
      // Another turn.
    }
  }

  private static void take(ByteBuf part, StringBuilder into) {
    into.append(part.toString(StandardCharsets.ISO_8859_1));
    part.release();
  }

  private static Outcome search(DataRules rules, String text, int piece) {
    return search(rules, text.getBytes(StandardCharsets.ISO_8859_1), piece, false);
  }

  /** Around the places at which a window ends, whatever it is in pieces of. */
  @AttackRow(55)
  @ParameterizedTest
  @ValueSource(ints = {1, 7, 4096, 1 << 20})
  void acrossEveryBorderItIsFoundAndNeverLeavesWhole(int piece) {
    for (int border : new int[] {128, 4096, 4160, 8128, 8192, 8256, 12_288}) {
      for (int before = border - MAIL.length() - 2; before <= border + 2; before++) {
        String text = "x ".repeat(before / 2) + " ".repeat(before % 2) + MAIL + " x".repeat(6000);
        Outcome blocked = search(rules(DataAction.DATA_ACTION_BLOCK), text, piece);
        assertThat(blocked.refused()).as("%d", before).isTrue();
        assertThat(blocked.left()).doesNotContain("jane", "example.com");
        Outcome redacted = search(rules(DataAction.DATA_ACTION_REDACT), text, piece);
        assertThat(redacted.left()).isEqualTo(text.replace(MAIL, "[redacted]"));
        assertThat(redacted.refused()).isFalse();
      }
    }
  }

  /** Two matches that overlap, at every place of a border: nothing of either is left. */
  @Test
  void overlappingOnesAreOneHoweverTheyAreCut() {
    DataRules rules = rules(DataAction.DATA_ACTION_REDACT, "ab+c", "c[0-9]+d");
    for (int before = 4060; before < 4170; before++) {
      String text = " ".repeat(before) + "abbbbbbc12345d" + " ".repeat(9000);
      assertThat(search(rules, text, 1).left())
          .isEqualTo(" ".repeat(before) + "[redacted]" + " ".repeat(9000));
    }
  }

  /** What has left already, just before a window. */
  @Test
  void whatLooksBackSeesWhatStandsBeforeAWindow() {
    DataRules rules = rules(DataAction.DATA_ACTION_BLOCK, "\\bproject[0-9]{4}\\b");
    for (int before = 4060; before < 4170; before++) {
      String word = "a".repeat(before) + "project1234" + " x".repeat(6000);
      assertThat(search(rules, word, 1).refused()).as("%d", before).isFalse();
    }
  }

  /** Of it no more than what it began with could be put out before the rest has to leave. */
  @AttackRow(55)
  @ParameterizedTest
  @ValueSource(ints = {1, 4096, 1 << 20})
  void aMatchWithoutAnEndInSightIsRefused(int piece) {
    DataRules rules = rules(DataAction.DATA_ACTION_REDACT, "key[0-9]+");
    Outcome outcome = search(rules, "a key" + "7".repeat(30_000) + " b", piece);
    assertThat(outcome.refused()).isTrue();
    assertThat(outcome.left()).doesNotContain("7");
  }

  /** A step of a pattern for a byte is a look at it; others have their turn after so many. */
  @AttackRow(56)
  @Test
  void theMoreRulesCostTheLessIsSearchedInOneTurn() {
    int cheap = turn(rules(DataAction.DATA_ACTION_BLOCK, "a"));
    int dear = turn(rules(DataAction.DATA_ACTION_BLOCK, "[a-z]{10}[0-9]{10}[a-z]{10}"));
    assertThat(cheap).isLessThanOrEqualTo(256 << 10);
    assertThat(dear).isLessThan(cheap).isLessThanOrEqualTo((256 << 10) / 30);
  }

  /** How much of a long body is searched before it is somebody else's turn. */
  private static int turn(DataRules rules) {
    RequestHead head =
        new RequestHead("POST", "api.example.com", "/", Headers.of(), -1, true, false);
    int length = 1 << 20;
    try (BodySearch search = DataGuard.of(rules, HOST, head).orElseThrow().body(true, false)) {
      search.add(Unpooled.wrappedBuffer(new byte[length]));
      StringBuilder left = new StringBuilder();
      assertThat(search.turn(false, part -> take(part, left))).isFalse();
      return length - (int) search.pending();
    }
  }

  @Test
  void whatEndsTheBodyIsFound() {
    for (String body : new String[] {MAIL, "4111111111111111", "x " + MAIL, "{\"a\":\"" + MAIL}) {
      assertThat(search(rules(DataAction.DATA_ACTION_BLOCK), body, 3).refused()).isTrue();
    }
  }

  /** Only what stands there as itself is a placeholder, and is judged as one elsewhere. */
  @AttackRow(55)
  @ParameterizedTest
  @ValueSource(
      strings = {
        "%63offerdam_%70roject1234A1b2C3d4E5f6G7h8I9j0A1b2C3d4E5f6GG",
        "\\u0063offerdam_\\u0070roject1234A1b2C3d4E5f6G7h8I9j0A1b2C3d4E5f6GG",
        "cofferdam_%70roject1234A1b2C3d4E5f6G7h8I9j0A1b2C3d4E5f6GG"
      })
  void nothingHidesInTheShapeOfAPlaceholder(String text) {
    DataRules rules = rules(DataAction.DATA_ACTION_BLOCK, "project[0-9]+");
    assertThat(search(rules, text, 5).refused()).isTrue();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        PLACEHOLDER,
        "sk-ant-c0fferdamA1b2C3d4E5f6G7h8I9j0A1b2C3A1b2C3d4E5f6G7h8I9j0A1b2C3A1b2C3d4E5f6G7",
        "c0ffe2da5e0123456789abcdef0123456789abcdef0123"
      })
  void aPlaceholderIsNoMatchWhereverItIsCut(String placeholder) {
    DataRules rules = rules(DataAction.DATA_ACTION_BLOCK, "[A-Za-z0-9]{12,}");
    for (int before = 4000; before < 4200; before++) {
      String text = " ".repeat(before) + placeholder + " ".repeat(9000);
      assertThat(search(rules, text, 1).refused()).as("%d", before).isFalse();
    }
  }

  private static byte[] message(int flag, String text) {
    return Unpooled.buffer()
        .writeByte(flag)
        .writeInt(text.length())
        .writeBytes(text.getBytes(StandardCharsets.ISO_8859_1))
        .array();
  }

  private static byte[] join(byte[]... parts) {
    ByteBuf all = Unpooled.buffer();
    for (byte[] part : parts) {
      all.writeBytes(part);
    }
    byte[] joined = new byte[all.readableBytes()];
    all.readBytes(joined).release();
    return joined;
  }

  private static byte[] grpc(String... texts) {
    return join(
        List.of(texts).stream()
            .map(text -> trimmed(message(0, text), text))
            .toArray(byte[][]::new));
  }

  private static byte[] trimmed(byte[] message, String text) {
    return java.util.Arrays.copyOf(message, 5 + text.length());
  }

  /** A message's head is no text, and one that is no head is no message. */
  @Test
  void messagesOfGrpcAreSearchedOneByOne() {
    DataRules rules = rules(DataAction.DATA_ACTION_BLOCK);
    for (int piece : new int[] {1, 4, 1000}) {
      assertThat(search(rules, grpc("hello", "to " + MAIL, "x"), piece, true).refused()).isTrue();
      Outcome clean = search(rules, grpc("hello", "", "jane.doe@exa", "mple.com"), piece, true);
      assertThat(clean.refused()).isFalse();
      assertThat(clean.left().getBytes(StandardCharsets.ISO_8859_1))
          .isEqualTo(grpc("hello", "", "jane.doe@exa", "mple.com"));
      // Whose second head is "mple.": whoever reads the body as it is reads an address.
      byte[] trick = join(grpc("jane.doe@exa"), "mple.com".getBytes(StandardCharsets.US_ASCII));
      assertThat(search(rules, trick, piece, true).unreadable()).isTrue();
      byte[] packed = trimmed(message(1, "anything"), "anything");
      assertThat(search(rules, packed, piece, true).unreadable()).isTrue();
    }
  }

  @AttackRow(56)
  @ParameterizedTest
  @CsvSource({"10, false", "409, true"})
  void aRedactingPatternThatCostsMuchBlocksWhatItFindsOften(int length, boolean refused) {
    DataRules rules = rules(DataAction.DATA_ACTION_REDACT, "z[0-9]{" + length + "}");
    String text = ("z" + "1".repeat(length) + " ").repeat(7);
    Outcome outcome = search(rules, text, 1 << 20);
    assertThat(outcome.refused()).isEqualTo(refused);
  }

  /** One byte after the other costs no more than all at once. */
  @AttackRow(56)
  @Test
  void smallPiecesAreNotSearchedWithEach() {
    AtomicInteger searches = new AtomicInteger();
    // Of matches that are nearly as long as may be, so that as much as can be is kept back.
    Detector counting =
        (text, from) -> {
          searches.incrementAndGet();
          int end = from + 4096;
          return end > text.length()
              ? Optional.empty()
              : Optional.of(new Detector.Match(from, end));
        };
    DataRule rule =
        new DataRule(
            List.of(
                new DataRule.Named(
                    new Finding(1, "counting"), "counting", counting, Integer.MAX_VALUE)),
            DataAction.DATA_ACTION_REDACT,
            false,
            1);
    DataSearch search = new DataSearch(List.of(rule), false, true);
    for (int i = 0; i < 100_000; i++) {
      search.feed(Unpooled.wrappedBuffer(new byte[] {'a'}), false, ByteBuf::release);
    }
    assertThat(searches.get()).isLessThan(4 * 100_000 / 4096);
  }

  private static final class CountingText extends Text {
    private long looks;

    CountingText(String text) {
      super(text.getBytes(StandardCharsets.ISO_8859_1), text.length());
    }

    @Override
    int at(int index) {
      looks++;
      return super.at(index);
    }
  }

  /** Texts that make a detector look again and again at the same, if anything does. */
  @AttackRow(56)
  @ParameterizedTest
  @ValueSource(
      strings = {
        "-eyJ",
        "-eyJ.",
        ".eyJ",
        "-ya29.",
        "-sk-ant-",
        "-pypi-",
        "ghp_",
        "-glpat-.",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY",
        "@",
        "a@",
        "a@a.",
        "@a.a.a.a.",
        "4",
        "4 ",
        "4111 ",
        "4111-",
        "DE44 ",
        "DE44",
        "+1",
        "+1 ",
        "aws_secret_access_key= ",
        "PuTTY-User-Key-File-",
        "a.",
        "-."
      })
  void noTextMakesADetectorReadABytesOftenerTheLongerItIs(String unit) {
    for (DataDetector kind : DataDetector.values()) {
      if (kind == DataDetector.UNRECOGNIZED || kind == DataDetector.DATA_DETECTOR_UNSPECIFIED) {
        continue;
      }
      List<Long> looks = new ArrayList<>();
      for (int length : new int[] {8192, 65_536}) {
        CountingText text = new CountingText(unit.repeat(length / unit.length()));
        int from = 0;
        for (Optional<Detector.Match> match; from < text.length(); from = match.get().end()) {
          match = Detector.of(kind).next(text, from);
          if (match.isEmpty()) {
            break;
          }
        }
        looks.add(text.looks / text.length());
      }
      assertThat(looks).as("%s in %s", kind, unit).allSatisfy(n -> assertThat(n).isLessThan(100));
    }
  }

  @AttackRow(56)
  @Test
  void aPatternIsMatchedInLinearTime() {
    // A backtracking engine needs 2^n steps for it.
    DataRules rules = rules(DataAction.DATA_ACTION_BLOCK, "(a+)+$b", "(x|x)*y");
    assertThat(search(rules, "a".repeat(4000) + "x".repeat(4000), 1 << 20).refused()).isFalse();
  }
}
