package dev.cofferdam.testkit;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * The memory of another Java process of this machine, searched from outside.
 *
 * @param pid of a process of this user; for root of any, also of one that has shut its memory
 */
public record ProcessMemory(long pid) {
  private static final int CHUNK = 1 << 20;
  private static final int OVERLAP = 512;
  private static final Pattern HEAP = Pattern.compile("\\[(0x[0-9a-f]+), (0x[0-9a-f]+)");
  private static final Pattern MAPPING =
      Pattern.compile("([0-9a-f]+)-([0-9a-f]+) (r[w-]..) \\S+ \\S+ \\S+\\s*(.*)");

  /**
   * A copy that was found.
   *
   * @param mapping where; of a heap dump its name
   * @param before the 32 bytes in front of it, hexadecimal: they tell whose buffer it is
   */
  public record Hit(String encoding, boolean onHeap, String mapping, long address, String before) {}

  /** How many there are of each encoding, on the heap and outside. */
  public static String count(List<Hit> hits) {
    TreeMap<String, Integer> counts = new TreeMap<>();
    for (Hit hit : hits) {
      counts.merge(hit.encoding() + (hit.onHeap() ? " on the heap" : " outside"), 1, Integer::sum);
    }
    return counts.toString();
  }

  /** Every copy of the texts in the process's writable memory, the heap's garbage included. */
  public List<Hit> search(List<String> texts) throws IOException {
    Needle[][] needles = Needle.byFirst(texts);
    long[] heap = heap();
    List<Hit> hits = new ArrayList<>();
    try (RandomAccessFile memory = new RandomAccessFile("/proc/" + pid + "/mem", "r")) {
      for (String line : Files.readAllLines(Path.of("/proc/" + pid + "/maps"))) {
        Matcher mapping = MAPPING.matcher(line);
        if (mapping.matches() && mapping.group(3).startsWith("rw")) {
          long from = Long.parseUnsignedLong(mapping.group(1), 16);
          long to = Long.parseUnsignedLong(mapping.group(2), 16);
          search(memory, from, to, needles, heap, line, hits);
        }
      }
    }
    return hits;
  }

  /**
   * Every copy of the texts in an object of the heap.
   *
   * @param unreachable also in objects that nothing refers to any more; without, a full collection
   *     comes first
   */
  public List<Hit> dump(Path directory, boolean unreachable, List<String> texts)
      throws IOException {
    Path file = directory.resolve(unreachable ? "all.hprof" : "reachable.hprof");
    Files.deleteIfExists(file);
    String said =
        unreachable
            ? jcmd("GC.heap_dump", "-all", file.toString())
            : jcmd("GC.heap_dump", file.toString());
    require(said, "Heap dump file created");
    List<Hit> hits = new ArrayList<>();
    try (RandomAccessFile dump = new RandomAccessFile(file.toFile(), "r")) {
      long[] all = {0, Long.MAX_VALUE};
      String name = file.getFileName().toString();
      search(dump, 0, dump.length(), Needle.byFirst(texts), all, name, hits);
    }
    return hits;
  }

  /** A full collection. */
  public void collect() throws IOException {
    require(jcmd("GC.run"), "Command executed successfully");
  }

  private static void require(String said, String expected) {
    if (!said.contains(expected)) {
      throw new AssertionError("jcmd said: " + said);
    }
  }

  private static void search(
      RandomAccessFile memory,
      long from,
      long to,
      Needle[][] needles,
      long[] heap,
      String mapping,
      List<Hit> hits) {
    byte[] chunk = new byte[CHUNK + OVERLAP];
    for (long at = from; at < to; at += CHUNK) {
      int length = (int) Math.min(chunk.length, to - at);
      try {
        memory.seek(at);
        memory.readFully(chunk, 0, length);
      } catch (IOException e) {
        // A guard page or one given back meanwhile.
        continue;
      }
      for (int i = 0; i < Math.min(length, CHUNK); i++) {
        // Most memory is zero, and no needle begins so.
        if (chunk[i] != 0) {
          for (Needle needle : needles[chunk[i] & 0xff]) {
            if (needle.isAt(chunk, i, length)) {
              long address = at + i;
              boolean onHeap = address >= heap[0] && address < heap[1];
              String before = HexFormat.of().formatHex(chunk, Math.max(0, i - 32), i);
              hits.add(new Hit(needle.form(), onHeap, mapping, address, before));
            }
          }
        }
      }
    }
  }

  /** One form of a text that is looked for. */
  private static final class Needle {
    private final String form;
    private final byte[] bytes;

    Needle(String form, byte[] bytes) {
      this.form = form;
      this.bytes = bytes;
    }

    String form() {
      return form;
    }

    /** Those that begin with each byte; arrays, for every byte of a process asks for its own. */
    static Needle[][] byFirst(List<String> texts) {
      List<Needle> all = texts.stream().flatMap(text -> of(text).stream()).toList();
      return IntStream.range(0, 256)
          .mapToObj(first ->
              all.stream()
                  .filter(needle -> (needle.bytes[0] & 0xff) == first)
                  .toArray(Needle[]::new))
          .toArray(Needle[][]::new);
    }

    private static List<Needle> of(String text) {
      byte[] raw = text.getBytes(StandardCharsets.US_ASCII);
      String hex = HexFormat.of().formatHex(raw);
      return List.of(
          new Needle("raw", raw),
          // The first characters say enough, and the last depend on what follows.
          new Needle(
              "base64",
              Base64.getEncoder()
                  .encodeToString(raw)
                  .substring(0, raw.length)
                  .getBytes(StandardCharsets.US_ASCII)),
          new Needle("hex", hex.getBytes(StandardCharsets.US_ASCII)),
          new Needle("utf16", utf16(text)),
          new Needle("hex utf16", utf16(hex)));
    }

    /** Of ASCII and less the last zero: big-endian as well, but for its first zero. */
    private static byte[] utf16(String text) {
      byte[] bytes = text.getBytes(StandardCharsets.UTF_16LE);
      return Arrays.copyOf(bytes, bytes.length - 1);
    }

    boolean isAt(byte[] chunk, int at, int length) {
      return at + bytes.length <= length
          && Arrays.equals(chunk, at, at + bytes.length, bytes, 0, bytes.length);
    }
  }

  /** The Java heap's addresses, as the virtual machine tells them. */
  private long[] heap() throws IOException {
    String text = jcmd("GC.heap_info");
    long low = Long.MAX_VALUE;
    long high = 0;
    Matcher range = HEAP.matcher(text);
    while (range.find()) {
      low = Math.min(low, Long.decode(range.group(1)));
      high = Math.max(high, Long.decode(range.group(2)));
    }
    if (high == 0) {
      throw new AssertionError("no heap in: " + text);
    }
    return new long[] {low, high};
  }

  private String jcmd(String... command) throws IOException {
    List<String> all = new ArrayList<>();
    all.add(Path.of(System.getProperty("java.home"), "bin", "jcmd").toString());
    all.add(Long.toString(pid));
    all.addAll(List.of(command));
    Process jcmd = new ProcessBuilder(all).redirectErrorStream(true).start();
    return new String(jcmd.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
  }
}
