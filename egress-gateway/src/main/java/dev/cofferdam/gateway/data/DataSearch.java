package dev.cofferdam.gateway.data;

import dev.cofferdam.gateway.placeholder.Candidates;
import dev.cofferdam.v1.DataAction;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;

/**
 * Searches a stream and gives out what may leave. What may be the beginning of a match is kept
 * back, so none leaves whole. One thread at a time; memory is bounded.
 */
public final class DataSearch {
  /** Of a match, in bytes as they came. */
  static final int MAX_MATCH = 4096;

  /**
   * What follows the beginning of a match before it is taken for one: with what looks ahead, and
   * behind which no placeholder that is not there as a whole begins.
   */
  private static final int KEPT = MAX_MATCH + 64;

  /** What is gathered before it is searched, so that small pieces cost no more than large ones. */
  private static final int STEP = 4096;

  /** What has left but is seen by what looks back. */
  private static final int CONTEXT = 512;

  /** What is searched in one turn by rules that cost one step for each byte. */
  private static final int TURN = 256 << 10;

  private static final byte[] MARK = "[redacted]".getBytes(StandardCharsets.US_ASCII);

  private record Span(int start, int end) {}

  private final List<DataRule> rules;
  private final boolean form;
  private final boolean rewrites;
  private final Set<Finding> found = new LinkedHashSet<>();
  private Optional<Finding> refused = Optional.empty();

  /** As long as it has to be: most texts are those of headers. */
  private byte[] buffer = new byte[0];

  private int length;

  /** Bytes before have left. */
  private int done;

  /**
   * @param form whether {@code +} stands for a blank
   * @param rewrites whether a match can be put out; else it refuses
   */
  DataSearch(List<DataRule> rules, boolean form, boolean rewrites) {
    this.rules = rules;
    this.form = form;
    this.rewrites = rewrites;
  }

  /** Whether what leaves may differ from what came. */
  boolean mayRewrite() {
    return rewrites
        && rules.stream().anyMatch(rule -> rule.action() == DataAction.DATA_ACTION_REDACT);
  }

  /** How much may be searched before others have their turn. */
  int turn() {
    int steps = rules.stream().mapToInt(DataRule::steps).sum();
    return steps == 0 ? TURN : Math.max(STEP, TURN / steps);
  }

  /** What the rules found so far. */
  Set<Finding> found() {
    return found;
  }

  /** What must not leave, and so nothing more may. */
  Optional<Finding> refused() {
    return refused;
  }

  /** Bytes that came and have not left. */
  int pending() {
    return length - done;
  }

  /**
   * @param in stays the caller's; wholly read
   * @param last nothing belongs to what came so far: all of it is decided
   * @param out takes over what may leave
   */
  void feed(ByteBuf in, boolean last, Consumer<ByteBuf> out) {
    while (refused.isEmpty() && in.isReadable()) {
      int part = Math.min(in.readableBytes(), STEP);
      ensure(part);
      in.readBytes(buffer, length, part);
      length += part;
      // Whatever is held, less than this is left by a search: no byte is searched with each piece.
      if (pending() >= KEPT + STEP) {
        search(false, out);
      }
    }
    if (refused.isEmpty() && last) {
      search(true, out);
      length = 0;
      done = 0;
    }
  }

  private void ensure(int more) {
    if (length + more > buffer.length) {
      buffer = Arrays.copyOf(buffer, Math.max(2 * buffer.length, length + more));
    }
  }

  private void search(boolean last, Consumer<ByteBuf> out) {
    int cut = last ? length : Math.max(done, length - KEPT);
    List<Span> spans = new ArrayList<>();
    for (Reading reading : readings()) {
      for (DataRule rule : rules) {
        for (DataRule.Named named : rule.detectors()) {
          find(reading, rule, named, cut, last, spans);
          if (refused.isPresent()) {
            return;
          }
        }
      }
    }
    spans.sort(Comparator.comparingInt(Span::start));
    emit(mayRewrite() ? whole(cut, spans) : cut, spans, out);
  }

  /** A place before, where the cut would go through what is to be put out. */
  private static int whole(int cut, List<Span> spans) {
    int start = 0;
    int end = 0;
    for (Span span : spans) {
      if (span.start() >= end) {
        start = span.start();
      }
      end = Math.max(end, span.end());
      if (start < cut && cut < end && end - start <= MAX_MATCH) {
        return start;
      }
    }
    return cut;
  }

  /** Placeholders are left out as they stand, so that nothing hides behind an escaped one. */
  private List<Reading> readings() {
    Text raw = new Text(Candidates.masked(buffer, length).orElse(buffer), length);
    return Stream.of(Optional.of(Reading.plain(raw)), Reading.json(raw), Reading.percent(raw, form))
        .flatMap(Optional::stream)
        .toList();
  }

  /**
   * What begins behind the cut is seen again, with all that follows: so it does not matter how a
   * body comes in pieces.
   */
  private void find(
      Reading reading,
      DataRule rule,
      DataRule.Named named,
      int cut,
      boolean last,
      List<Span> spans) {
    Text text = reading.text();
    int redacted = 0;
    boolean redacts = rule.action() == DataAction.DATA_ACTION_REDACT;
    int from = reading.textFrom(done);
    while (redacts || !found.contains(named.finding())) {
      Optional<Detector.Match> match = named.detector().next(text, from);
      if (match.isEmpty() || reading.rawStart(match.get().start()) >= cut) {
        return;
      }
      int end = match.get().end();
      found.add(named.finding());
      boolean endless = end >= text.length() && !last;
      boolean refuses =
          rule.action() == DataAction.DATA_ACTION_BLOCK
              || (redacts && (!rewrites || endless || ++redacted > named.mostRedacted()));
      if (refuses) {
        refused = Optional.of(named.finding());
        return;
      }
      if (redacts) {
        spans.add(new Span(reading.rawStart(match.get().start()), reading.rawEnd(end)));
      }
      from = end;
    }
  }

  private void emit(int cut, List<Span> spans, Consumer<ByteBuf> out) {
    int at = done;
    for (Span span : spans) {
      if (span.start() >= cut) {
        break;
      }
      if (span.start() >= at) {
        copy(at, span.start(), out);
        out.accept(Unpooled.wrappedBuffer(MARK));
      }
      at = Math.max(at, span.end());
    }
    if (at < cut) {
      copy(at, cut, out);
      at = cut;
    }
    int keep = Math.max(0, at - CONTEXT);
    System.arraycopy(buffer, keep, buffer, 0, length - keep);
    length -= keep;
    done = at - keep;
  }

  private void copy(int from, int to, Consumer<ByteBuf> out) {
    if (to > from) {
      out.accept(Unpooled.copiedBuffer(buffer, from, to - from));
    }
  }
}
