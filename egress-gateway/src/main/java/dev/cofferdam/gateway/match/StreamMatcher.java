package dev.cofferdam.gateway.match;

import io.netty.buffer.ByteBuf;
import java.util.Arrays;
import java.util.List;

/**
 * Searches a stream for several needles at once. It keeps nothing itself: where a match may have
 * begun but the bytes ended, it says from where on the caller has to keep them.
 */
public final class StreamMatcher {
  /** What is told, in the order of the stream. */
  public interface Sink {
    /** Bytes that belong to no match. */
    void clean(ByteBuf in, int from, int length);

    /**
     * @param needle the place of the needle that matched in the list
     */
    void found(int needle, ByteBuf in, int from, int length);
  }

  /**
   * Where a scan stopped.
   *
   * @param keep bytes from here on have to be shown again, in front of the next ones
   * @param hold bytes from here on are part of a match that is already long enough to be taken
   *     seriously; at least {@code keep}
   */
  public record Rest(int keep, int hold) {}

  private static final int[] NONE = {};

  private final List<Needle> needles;
  private final int[][] byFirst = new int[256][];

  public StreamMatcher(List<Needle> needles) {
    this.needles = List.copyOf(needles);
    int[] starting = new int[needles.size()];
    for (int value = 0; value < 256; value++) {
      int count = 0;
      for (int n = 0; n < starting.length; n++) {
        if (needles.get(n).mayStart(value)) {
          starting[count++] = n;
        }
      }
      byFirst[value] = count == 0 ? NONE : Arrays.copyOf(starting, count);
    }
  }

  /**
   * @param last no more bytes will come: nothing is kept
   * @param seriousUnits how long an unfinished match has to be for its bytes to be held
   */
  public Rest scan(ByteBuf in, int from, int end, boolean last, int seriousUnits, Sink sink) {
    int cleanFrom = from;
    int at = from;
    int keep = -1;
    int hold = -1;
    while (at < end) {
      int[] starting = byFirst[in.getUnsignedByte(at)];
      int matched = 0;
      int which = -1;
      for (int n : starting) {
        int result = needles.get(n).match(in, at, end);
        if (result > matched) {
          matched = result;
          which = n;
        } else if (result < 0 && !last) {
          keep = keep < 0 ? at : keep;
          if (hold < 0 && -1 - result >= seriousUnits) {
            hold = at;
          }
        }
      }
      if (matched > 0 && keep < 0) {
        if (at > cleanFrom) {
          sink.clean(in, cleanFrom, at - cleanFrom);
        }
        sink.found(which, in, at, matched);
        at += matched;
        cleanFrom = at;
      } else if (matched > 0) {
        // A match that began earlier may still swallow this one: it is found again once that is
        // known.
        hold = hold < 0 ? at : hold;
        at += matched;
      } else {
        at++;
      }
    }
    int stop = keep < 0 ? end : keep;
    if (stop > cleanFrom) {
      sink.clean(in, cleanFrom, stop - cleanFrom);
    }
    return new Rest(stop, hold < 0 ? end : hold);
  }
}
