package dev.cofferdam.node.qemu;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.util.HexFormat;

/**
 * Takes the guest's memory out of a migration stream, so that the two parts lie as a template's do:
 * memory as a file of its pages, zero ones as holes, and the stream as if that file had been mapped
 * shared and ignored ({@code x-ignore-shared}). Loaded with the file mapped privately, the pages
 * come out of the file.
 *
 * <p>QEMU 7.2 has no other way to write memory to places of a file (mapped-ram is of 9.0). The form
 * is that of its {@code migration/savevm.c} ({@code qemu_savevm_state_*}) and {@code
 * migration/ram.c} ({@code ram_save_*}): a header, the configuration, sections of memory alone, and
 * then the devices, which nobody but QEMU can read and which pass as they are. Numbers are
 * big-endian.
 *
 * <p>The sender is trusted with nothing: what is not exactly as expected is refused, and every
 * length is bounded. For one stream, on one thread.
 */
final class MigrationSplitter {
  /** Devices and small ROMs: 1 MB was measured. */
  static final long MAX_STATE = 64L << 20;

  static final int PAGE = 4096;

  /** The name of the main memory's block: its backend's id in {@link QemuArguments}. */
  private static final String MEMORY = "m0";

  private static final int MAGIC = 0x5145564d;
  private static final int VERSION = 3;

  private static final int SECTION_START = 0x01;
  private static final int SECTION_PART = 0x02;
  private static final int SECTION_END = 0x03;
  private static final int SECTION_FULL = 0x04;
  private static final int SUBSECTION = 0x05;
  private static final int CONFIGURATION = 0x07;
  private static final int SECTION_FOOTER = 0x7e;
  private static final int RAM_VERSION = 4;

  private static final int FLAG_ZERO = 0x02;
  private static final int FLAG_SIZE = 0x04;
  private static final int FLAG_PAGE = 0x08;
  private static final int FLAG_END = 0x10;
  private static final int FLAG_CONTINUE = 0x20;
  private static final long FLAGS = PAGE - 1;

  private static final String CAPABILITIES = "configuration/capabilities";
  private static final String IGNORE_SHARED = "x-ignore-shared";
  private static final int MAX_BLOCKS = 64;
  private static final int MAX_CONFIGURATION_NAME = 256;

  /** Each page may come again while devices settle; a sender that goes on for ever must not. */
  private static final int ROUNDS = 4;

  private final MigrationInput in;
  private final StateOutput out;
  private final PagesFile pages;
  private final long memoryBytes;
  private int ramSection;
  private String block = "";
  private long left;

  private MigrationSplitter(
      ReadableByteChannel stream, long memoryBytes, FileChannel memory, WritableByteChannel state) {
    this.memoryBytes = memoryBytes;
    this.in = new MigrationInput(stream);
    this.out = new StateOutput(state, MAX_STATE);
    this.pages = new PagesFile(memory, memoryBytes);
    this.left = ROUNDS * (memoryBytes / PAGE) + MAX_STATE / PAGE;
  }

  /**
   * Reads the stream to its end.
   *
   * @param memoryBytes of the guest, whole pages
   * @param memory empty, of that size
   * @param state empty
   * @throws IOException when the stream is not what QEMU 7.2 sends, or there is no room
   */
  static void split(
      ReadableByteChannel stream, long memoryBytes, FileChannel memory, WritableByteChannel state)
      throws IOException {
    new MigrationSplitter(stream, memoryBytes, memory, state).run();
  }

  private void run() throws IOException {
    expect("magic", MAGIC, copyInt());
    expect("version", VERSION, copyInt());
    expect("first section", CONFIGURATION, copyByte());
    int type = configuration();
    expect("section after the configuration", SECTION_START, type);
    start();
    int last = type;
    while (last != SECTION_END) {
      last = copyByte();
      if (last != SECTION_PART && last != SECTION_END) {
        throw new IOException(
            "a section of type %d among those of memory, expected %d or %d"
                .formatted(last, SECTION_PART, SECTION_END));
      }
      expect("section", ramSection, copyInt());
      memory();
      footer();
    }
    pages.flush();
    // Memory was the only one to come in parts: what follows is each device, whole.
    expect("section after memory", SECTION_FULL, copyByte());
    in.drain(out);
    out.flush();
  }

  /** The machine's type, and what the other side must be set to; says what follows it. */
  private int configuration() throws IOException {
    int length = copyInt();
    if (length < 1 || length > MAX_CONFIGURATION_NAME) {
      throw new IOException("a machine's name of %d bytes".formatted(length));
    }
    in.copy(length, out);
    expect("part of the configuration", SUBSECTION, copyByte());
    String name = copyName();
    if (!name.equals(CAPABILITIES)) {
      throw new IOException("configuration '%s', expected %s".formatted(name, CAPABILITIES));
    }
    expect("version of the capabilities", 1, copyInt());
    expect("number of capabilities", 1, copyInt());
    String capability = copyName();
    if (!capability.equals(IGNORE_SHARED)) {
      throw new IOException("capability '%s', expected %s".formatted(capability, IGNORE_SHARED));
    }
    return copyByte();
  }

  /** The list of the blocks of memory. */
  private void start() throws IOException {
    ramSection = copyInt();
    String name = copyName();
    if (!name.equals("ram")) {
      throw new IOException("a section '%s', expected ram".formatted(name));
    }
    expect("instance of memory", 0, copyInt());
    expect("version of memory", RAM_VERSION, copyInt());
    long total = copyLong();
    expect("flags of the memory's size", FLAG_SIZE, (int) (total & FLAGS));
    long remaining = total & ~FLAGS;
    boolean found = false;
    for (int i = 0; remaining > 0; i++) {
      String id = copyName();
      long bytes = copyLong();
      // Its address.
      var _ = copyLong();
      if (i >= MAX_BLOCKS || bytes < 1 || bytes > remaining) {
        throw new IOException("block %d of memory, '%s', has %d bytes".formatted(i, id, bytes));
      }
      if (id.equals(MEMORY)) {
        if (found || bytes != memoryBytes) {
          throw new IOException(
              "memory has %d bytes, expected %d, once".formatted(bytes, memoryBytes));
        }
        found = true;
      }
      remaining -= bytes;
    }
    if (!found) {
      throw new IOException("no memory '" + MEMORY + "'");
    }
    expect("end of the blocks", FLAG_END, (int) copyLong());
    footer();
  }

  /** The pages of one part. Those of the main memory go to its file, those of ROMs stay. */
  private void memory() throws IOException {
    while (true) {
      long header = in.readLong();
      int flags = (int) (header & FLAGS);
      if (flags == FLAG_END) {
        expect("end of a part", FLAG_END, (int) header);
        out.writeLong(header);
        return;
      }
      if (--left < 0) {
        throw new IOException("more pages than memory has");
      }
      if ((flags & FLAG_CONTINUE) == 0) {
        block = in.readName();
      }
      page(header & ~FLAGS, flags & ~FLAG_CONTINUE);
    }
  }

  private void page(long offset, int kind) throws IOException {
    if (kind != FLAG_ZERO && kind != FLAG_PAGE) {
      throw new IOException("a page with flags 0x" + HexFormat.of().toHexDigits((short) kind));
    }
    boolean zero = kind == FLAG_ZERO;
    if (zero) {
      expect("filling of a page", 0, in.readByte());
    }
    if (block.equals(MEMORY)) {
      if (offset < 0 || offset > memoryBytes - PAGE) {
        throw new IOException("a page at %d of %d bytes".formatted(offset, memoryBytes));
      }
      if (zero) {
        pages.clear(offset);
      } else {
        pages.put(offset, in.take(PAGE));
      }
      return;
    }
    // Each with its name: what it would continue may have been taken out.
    out.writeLong(offset | kind);
    out.writeName(block);
    if (zero) {
      out.writeByte(0);
    } else {
      in.copy(PAGE, out);
    }
  }

  private void footer() throws IOException {
    expect("end of a section", SECTION_FOOTER, copyByte());
    expect("section that ends", ramSection, copyInt());
  }

  private int copyByte() throws IOException {
    int value = in.readByte();
    out.writeByte(value);
    return value;
  }

  private int copyInt() throws IOException {
    int value = in.readInt();
    out.writeInt(value);
    return value;
  }

  private long copyLong() throws IOException {
    long value = in.readLong();
    out.writeLong(value);
    return value;
  }

  private String copyName() throws IOException {
    String name = in.readName();
    out.writeName(name);
    return name;
  }

  private static void expect(String what, int wanted, int found) throws IOException {
    if (found != wanted) {
      throw new IOException("%s is 0x%x, expected 0x%x".formatted(what, found, wanted));
    }
  }

  /** A page or a few on their way to the file. */
  private static final class PagesFile {
    private static final int RUN = 256;

    private final FileChannel file;
    private final java.util.BitSet written;
    private final ByteBuffer run = ByteBuffer.allocateDirect(RUN * PAGE);
    private long runOffset;

    PagesFile(FileChannel file, long bytes) {
      this.file = file;
      this.written = new java.util.BitSet((int) (bytes / PAGE));
    }

    void put(long offset, ByteBuffer page) throws IOException {
      if (!run.hasRemaining() || offset != runOffset + run.position()) {
        flush();
        runOffset = offset;
      }
      run.put(page);
      written.set((int) (offset / PAGE));
    }

    /** A hole is zero already, and a page that was written before is not. */
    void clear(long offset) throws IOException {
      if (written.get((int) (offset / PAGE))) {
        put(offset, ByteBuffer.allocate(PAGE));
      }
    }

    void flush() throws IOException {
      run.flip();
      long at = runOffset;
      while (run.hasRemaining()) {
        at += file.write(run, at);
      }
      run.clear();
    }
  }
}
