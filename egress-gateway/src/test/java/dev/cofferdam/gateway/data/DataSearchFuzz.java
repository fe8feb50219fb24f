package dev.cofferdam.gateway.data;

import dev.cofferdam.gateway.policy.DataRules;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.v1.DataAction;
import dev.cofferdam.v1.DataDetector;
import dev.cofferdam.v1.EgressPolicy;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/**
 * Whatever a body is: nothing of it is lost, what is found and put out does not depend on how it is
 * cut or where it stands, and nothing that is to be put out is found in what left.
 */
public final class DataSearchFuzz {
  /** At which a window ends once so much has come. */
  private static final int BORDER = 4096;

  private static final int MOST = 2048;
  private static final List<DataRule> REPORT = rules(DataAction.DATA_ACTION_REPORT);
  private static final List<DataRule> REDACT = rules(DataAction.DATA_ACTION_REDACT);

  private record Outcome(String left, Set<Finding> found, boolean refused) {}

  private DataSearchFuzz() {}

  private static List<DataRule> rules(DataAction action) {
    dev.cofferdam.v1.DataRule.Builder rule =
        dev.cofferdam.v1.DataRule.newBuilder()
            .setAction(action)
            .addPatterns("(?i)project-[0-9]{4}");
    for (DataDetector detector : DataDetector.values()) {
      if (detector != DataDetector.UNRECOGNIZED
          && detector != DataDetector.DATA_DETECTOR_UNSPECIFIED) {
        rule.addDetectors(detector);
      }
    }
    return DataRules.compile(EgressPolicy.newBuilder().addData(rule).build())
        .at((Host.Name) Host.parse("a.example.com").orElseThrow())
        .stream()
        .map(DataRule::compile)
        .toList();
  }

  public static void fuzzerTestOneInput(byte[] input) {
    byte[] text = Arrays.copyOf(input, Math.min(input.length, MOST));
    for (boolean form : new boolean[] {false, true}) {
      Outcome reported = search(REPORT, form, text, 0, Integer.MAX_VALUE);
      if (!reported.left().equals(new String(text, StandardCharsets.ISO_8859_1))) {
        throw new AssertionError("a body that is only reported on is changed");
      }
      Outcome redacted = search(REDACT, form, text, 0, Integer.MAX_VALUE);
      for (int piece : new int[] {1, 61, 1500}) {
        compare(redacted, search(REDACT, form, text, 0, piece));
      }
      compare(redacted, search(REDACT, form, text, BORDER - text.length / 2, 1500));
    }
  }

  private static void compare(Outcome whole, Outcome other) {
    if (other.refused()) {
      // A private key that does not end is put out with the body's end, or refuses where much
      // follows.
      if (!whole.found().containsAll(other.found()) || other.found().isEmpty()) {
        throw new AssertionError("refused for " + other.found() + ", whole " + whole.found());
      }
    } else if (!whole.found().equals(other.found()) || !whole.left().equals(other.left())) {
      throw new AssertionError("whole " + whole.found() + ", otherwise " + other.found());
    }
  }

  /** With blanks around it, so that it stands for itself; without them in what left. */
  private static Outcome search(
      List<DataRule> rules, boolean form, byte[] text, int before, int piece) {
    DataSearch search = new DataSearch(rules, form, true);
    byte[] blanks = new byte[before];
    Arrays.fill(blanks, (byte) '\n');
    byte[] behind = new byte[before > 0 ? 3 * BORDER : 0];
    Arrays.fill(behind, (byte) '\n');
    ByteArrayOutputStream left = new ByteArrayOutputStream();
    feed(search, blanks, Integer.MAX_VALUE, left);
    feed(search, text, piece, left);
    feed(search, behind, piece, left);
    search.feed(Unpooled.EMPTY_BUFFER, true, part -> take(part, left));
    if (search.refused().isPresent()) {
      return new Outcome("", search.found(), true);
    }
    String all = left.toString(StandardCharsets.ISO_8859_1);
    return new Outcome(all.substring(before, all.length() - behind.length), search.found(), false);
  }

  private static void feed(DataSearch search, byte[] text, int piece, ByteArrayOutputStream left) {
    int size = Math.max(1, Math.min(piece, text.length));
    for (int at = 0; at < text.length; at += size) {
      search.feed(
          Unpooled.wrappedBuffer(text, at, Math.min(size, text.length - at)),
          false,
          part -> take(part, left));
    }
  }

  private static void take(ByteBuf part, ByteArrayOutputStream into) {
    byte[] bytes = new byte[part.readableBytes()];
    part.readBytes(bytes).release();
    into.writeBytes(bytes);
  }
}
