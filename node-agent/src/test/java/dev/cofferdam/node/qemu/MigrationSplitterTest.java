package dev.cofferdam.node.qemu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.node.disk.SparseFile;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.ReadableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Streams as QEMU 7.2 sends them, and as one that was taken over might. */
class MigrationSplitterTest {
  private static final int PAGE = 4096;
  private static final int MEMORY = 16 * PAGE;
  private static final int ROM = 2 * PAGE;
  private static final byte[] DEVICES = "devices, opaque".getBytes(StandardCharsets.UTF_8);

  @TempDir Path directory;
  private int tries;

  /** What makes up a stream; each part can be another. */
  private static final class Stream {
    int magic = 0x5145564d;
    int version = 3;
    String capability = "x-ignore-shared";
    String section = "ram";
    int ramVersion = 4;
    long memory = MEMORY;
    String block = "m0";
    byte[] pages = new byte[0];
    int footer = 0x7e;
    int endOf = 2;
    int last = 4;

    byte[] bytes() throws IOException {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      DataOutputStream out = new DataOutputStream(bytes);
      out.writeInt(magic);
      out.writeInt(version);
      out.writeByte(7);
      String type = "pc-i440fx-7.2";
      out.writeInt(type.length());
      out.writeBytes(type);
      out.writeByte(5);
      name(out, "configuration/capabilities");
      out.writeInt(1);
      out.writeInt(1);
      name(out, capability);
      out.writeByte(1);
      out.writeInt(2);
      name(out, section);
      out.writeInt(0);
      out.writeInt(ramVersion);
      out.writeLong(memory + ROM | 4);
      name(out, block);
      out.writeLong(memory);
      out.writeLong(0);
      name(out, "pc.rom");
      out.writeLong(ROM);
      out.writeLong(0xc0000);
      out.writeLong(0x10);
      footer(out);
      out.writeByte(2);
      out.writeInt(2);
      out.write(pages);
      out.writeLong(0x10);
      footer(out);
      out.writeByte(3);
      out.writeInt(2);
      out.writeLong(0x10);
      footer(out);
      out.writeByte(last);
      out.write(DEVICES);
      return bytes.toByteArray();
    }

    private void footer(DataOutputStream out) throws IOException {
      out.writeByte(footer);
      out.writeInt(endOf);
    }
  }

  /** Entries of a part of memory. */
  private static final class Pages {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private final DataOutputStream out = new DataOutputStream(bytes);

    Pages full(String block, int page, int filling) throws IOException {
      head(block, page, 0x08);
      byte[] content = new byte[PAGE];
      Arrays.fill(content, (byte) filling);
      out.write(content);
      return this;
    }

    Pages zero(String block, int page) throws IOException {
      head(block, page, 0x02);
      out.writeByte(0);
      return this;
    }

    Pages head(String block, int page, int flags) throws IOException {
      boolean same = block.isEmpty();
      out.writeLong((long) page * PAGE | flags | (same ? 0x20 : 0));
      if (!same) {
        name(out, block);
      }
      return this;
    }

    byte[] bytes() {
      return bytes.toByteArray();
    }
  }

  private static void name(DataOutputStream out, String name) throws IOException {
    out.writeByte(name.length());
    out.writeBytes(name);
  }

  @Test
  void pagesGoToTheirPlacesAndAllElseStays() throws IOException {
    Stream stream = new Stream();
    stream.pages =
        new Pages()
            .full("m0", 0, 1)
            .full("", 1, 2)
            .zero("", 2)
            .full("pc.rom", 1, 9)
            .zero("", 0)
            .full("m0", 15, 3)
            .bytes();
    Path made = split(stream.bytes(), Integer.MAX_VALUE);

    byte[] ram = Files.readAllBytes(made.resolve("ram"));
    assertThat(ram).hasSize(MEMORY);
    for (int page = 0; page < 16; page++) {
      int expected = page == 0 ? 1 : page == 1 ? 2 : page == 15 ? 3 : 0;
      assertThat(ram[page * PAGE]).as("page %s", page).isEqualTo((byte) expected);
      assertThat(ram[page * PAGE + PAGE - 1]).isEqualTo((byte) expected);
    }
    // The rest is a stream in which memory was never sent.
    Stream without = new Stream();
    without.pages = new Pages().full("pc.rom", 1, 9).zero("pc.rom", 0).bytes();
    assertThat(Files.readAllBytes(made.resolve("state"))).isEqualTo(without.bytes());
  }

  @Test
  void whatComesInSmallPiecesIsTheSame() throws IOException {
    Stream stream = new Stream();
    stream.pages = new Pages().full("m0", 3, 7).zero("", 4).full("pc.rom", 0, 8).bytes();
    Path whole = split(stream.bytes(), Integer.MAX_VALUE);
    Path pieces = split(stream.bytes(), 7);
    for (String file : new String[] {"ram", "state"}) {
      assertThat(pieces.resolve(file)).hasSameBinaryContentAs(whole.resolve(file));
    }
  }

  /** The last word on a page counts, also when it is that the page is zero. */
  @Test
  void aPageThatComesAgainIsTheLaterOne() throws IOException {
    Stream stream = new Stream();
    stream.pages =
        new Pages()
            .full("m0", 1, 1)
            .full("", 1, 2)
            .full("", 2, 3)
            .zero("", 2)
            .full("", 3, 4)
            .bytes();
    byte[] ram = Files.readAllBytes(split(stream.bytes(), Integer.MAX_VALUE).resolve("ram"));
    assertThat(ram[PAGE]).isEqualTo((byte) 2);
    assertThat(ram[2 * PAGE]).isZero();
    assertThat(ram[3 * PAGE]).isEqualTo((byte) 4);
  }

  @Test
  void whatIsNotExactlyAsExpectedIsRefused() throws IOException {
    refused(stream -> stream.magic = 1, "magic");
    refused(stream -> stream.version = 2, "version");
    refused(stream -> stream.capability = "xbzrle", "capability 'xbzrle'");
    refused(stream -> stream.section = "block", "section 'block'");
    refused(stream -> stream.ramVersion = 5, "version of memory");
    refused(stream -> stream.memory = 2 * MEMORY, "memory has");
    refused(stream -> stream.memory = -8 * PAGE, "no memory");
    refused(stream -> stream.block = "other", "no memory");
    refused(stream -> stream.block = "pc.bios", "no memory");
    refused(stream -> stream.footer = 0x7f, "end of a section");
    refused(stream -> stream.endOf = 3, "section that ends");
    refused(stream -> stream.last = 1, "section after memory");
    refused(stream -> stream.last = 0, "section after memory");
    refused(stream -> stream.pages = new Pages().full("m0", 16, 1).bytes(), "a page at");
    refused(stream -> stream.pages = new Pages().head("m0", 1 << 30, 0x08).bytes(), "a page at");
    // Compressed, by difference, of a hook: nothing that was agreed on.
    for (int flags : new int[] {0x40, 0x80, 0x100, 0x200, 0x0a, 0x00}) {
      refused(stream -> stream.pages = new Pages().head("m0", 1, flags).bytes(), "flags");
    }
  }

  @Test
  void aStreamThatBreaksOffAnywhereBeforeTheDevicesIsRefused() throws IOException {
    Stream stream = new Stream();
    stream.pages = new Pages().full("m0", 1, 1).bytes();
    byte[] whole = stream.bytes();
    for (int length = 0; length < whole.length - DEVICES.length; length += 13) {
      byte[] half = Arrays.copyOf(whole, length);
      assertThatThrownBy(() -> split(half, Integer.MAX_VALUE)).isInstanceOf(IOException.class);
    }
  }

  @Test
  void aSenderThatNeverEndsIsRefused() throws IOException {
    Pages again = new Pages();
    for (int i = 0; i < 1 << 16; i++) {
      again.zero("m0", 0);
    }
    refused(stream -> stream.pages = again.bytes(), "more pages than memory has");

    byte[] head = new Stream().bytes();
    ReadableByteChannel endless =
        new ReadableByteChannel() {
          private final ByteBuffer first = ByteBuffer.wrap(head);

          @Override
          public int read(ByteBuffer target) {
            int room = target.remaining();
            while (target.hasRemaining()) {
              target.put(first.hasRemaining() ? first.get() : 0);
            }
            return room;
          }

          @Override
          public boolean isOpen() {
            return true;
          }

          @Override
          public void close() {}
        };
    assertThatThrownBy(() -> split(endless))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("larger than its bound");
    try (var files = Files.walk(directory)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        assertThat(Files.size(file)).isLessThanOrEqualTo(MigrationSplitter.MAX_STATE);
      }
    }
  }

  /** Nothing but a refusal comes of rubbish, whatever it looks like. */
  @Test
  void rubbishIsRefused() throws IOException {
    Stream stream = new Stream();
    stream.pages = new Pages().full("m0", 1, 1).full("pc.rom", 0, 1).bytes();
    byte[] good = stream.bytes();
    Random random = new Random(1);
    for (int i = 0; i < 500; i++) {
      byte[] bad = good.clone();
      for (int change = 0; change < 3; change++) {
        bad[random.nextInt(bad.length)] = (byte) random.nextInt(256);
      }
      try {
        assertThat(split(bad, Integer.MAX_VALUE).resolve("ram")).hasSize(MEMORY);
      } catch (IOException e) {
        // As it should be; a change in a page's content is none of ours.
      }
    }
  }

  @FunctionalInterface
  private interface Change {
    void to(Stream stream) throws IOException;
  }

  private void refused(Change change, String why) throws IOException {
    Stream stream = new Stream();
    change.to(stream);
    byte[] bytes = stream.bytes();
    assertThatThrownBy(() -> split(bytes, Integer.MAX_VALUE))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(why);
  }

  private Path split(byte[] stream, int piece) throws IOException {
    ReadableByteChannel whole = Channels.newChannel(new ByteArrayInputStream(stream));
    return split(
        new ReadableByteChannel() {
          @Override
          public int read(ByteBuffer target) throws IOException {
            ByteBuffer part = target.slice(target.position(), Math.min(piece, target.remaining()));
            int read = whole.read(part);
            target.position(target.position() + Math.max(read, 0));
            return read;
          }

          @Override
          public boolean isOpen() {
            return whole.isOpen();
          }

          @Override
          public void close() throws IOException {
            whole.close();
          }
        });
  }

  private Path split(ReadableByteChannel stream) throws IOException {
    Path target = Files.createDirectory(directory.resolve("try" + tries++));
    try (FileChannel ram = SparseFile.create(target.resolve("ram"), MEMORY);
        FileChannel state = SparseFile.create(target.resolve("state"), 0)) {
      MigrationSplitter.split(stream, MEMORY, ram, state);
    }
    return target;
  }
}
