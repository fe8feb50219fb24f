package dev.cofferdam.node.cloudhypervisor;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;

/**
 * What a VMM reports of its machine ({@code --event-monitor}): JSON objects over several lines
 * each, appended to a file in its directory. For one thread.
 *
 * <p>The VMM owns the file and may have been taken over: no more than a bound is ever read, and
 * nothing but a plain file.
 */
final class EventFile {
  /** Bytes over a machine's whole life; an event has about 150. */
  static final int MAX_BYTES = 1 << 20;

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Supplier<Path> place;
  private long read;

  /**
   * @param place where it lies now: directories are renamed
   */
  EventFile(Supplier<Path> place) {
    this.place = place;
  }

  /** Who reports, and what. */
  record Event(String source, String name) {}

  /**
   * Those that were written since the last call and are whole.
   *
   * @throws IOException when it is no file of events, or longer than a VMM's should ever be
   */
  List<Event> next() throws IOException {
    Path file = place.get();
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) || Files.size(file) == read) {
      return List.of();
    }
    try (FileChannel channel =
        FileChannel.open(file, Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS))) {
      long size = channel.size();
      if (size > MAX_BYTES || size < read) {
        throw new IOException(
            "the file of events has %d bytes, expected %d to %d".formatted(size, read, MAX_BYTES));
      }
      ByteBuffer fresh = ByteBuffer.allocate((int) (size - read));
      while (fresh.hasRemaining() && channel.read(fresh, read + fresh.position()) >= 0) {}
      return parse(fresh.array());
    }
  }

  private List<Event> parse(byte[] text) throws IOException {
    List<Event> events = new ArrayList<>();
    int begin = 0;
    while (begin < text.length) {
      if (Character.isWhitespace(text[begin])) {
        begin++;
        continue;
      }
      int end = end(text, begin);
      if (end < 0) {
        // It is still being written.
        break;
      }
      try {
        JsonNode event = JSON.readTree(text, begin, end - begin);
        events.add(new Event(event.path("source").asText(), event.path("event").asText()));
      } catch (JsonProcessingException e) {
        throw new IOException("the file of events is no JSON", e);
      }
      begin = end;
    }
    read += begin;
    return events;
  }

  /** Where the object that begins there ends, or -1 if it does not yet. */
  private static int end(byte[] text, int begin) throws IOException {
    if (text[begin] != '{') {
      throw new IOException("the file of events is no JSON: no object begins at " + begin);
    }
    int depth = 0;
    boolean quoted = false;
    for (int i = begin; i < text.length; i++) {
      byte b = text[i];
      if (quoted) {
        if (b == '\\') {
          i++;
        } else if (b == '"') {
          quoted = false;
        }
      } else if (b == '"') {
        quoted = true;
      } else if (b == '{') {
        depth++;
      } else if (b == '}' && --depth == 0) {
        return i + 1;
      }
    }
    return -1;
  }
}
