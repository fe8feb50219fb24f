package dev.cofferdam.node.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.cofferdam.node.disk.SparseFile;
import dev.cofferdam.node.machine.MachineSpec;
import dev.cofferdam.node.oci.ImageException;
import dev.cofferdam.node.oci.ImageLimits;
import dev.cofferdam.node.oci.OciImage;
import dev.cofferdam.node.oci.RootMaker;
import dev.cofferdam.node.oci.TestImage;
import dev.cofferdam.node.oci.TestLayer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ImageMakerTest {
  @TempDir Path directory;
  private Path root;
  private Image base;
  private ImageMaker maker;

  @BeforeEach
  void open() throws IOException {
    root = directory.resolve("made");
    Path built = Files.createDirectory(directory.resolve("base"));
    Files.writeString(built.resolve("vmlinuz"), "kernel");
    // Of a length that is no multiple of four.
    Files.write(built.resolve("initrd"), TestLayer.gzip(new byte[] {1, 2, 3}));
    base = new Image("0123456789abcdef", built, "console=ttyS0 quiet", List.of("true"), 64);
    maker = new ImageMaker(root, new RootMaker(ImageLimits.DEFAULT), ImageMakerTest::format);
  }

  @Test
  void anImageHasTheRootOfItsLayersAndTheKernelOfTheBase() throws IOException {
    Image made = made(image("1"), Optional.empty(), 64);

    assertThat(made.diskMib()).isEqualTo(64);
    assertThat(made.warmUp()).isEmpty();
    assertThat(MachineSpec.root(made.kernelArguments())).isEqualTo("rootfs.squashfs");
    assertThat(MachineSpec.root(base.kernelArguments())).isEqualTo("rootfs.erofs");
    assertThat(made.directory().resolve("vmlinuz")).hasContent("kernel");
    assertThat(Files.readAllBytes(made.directory().resolve("rootfs.squashfs")))
        .startsWith("hsqs".getBytes(StandardCharsets.US_ASCII));
    assertThat(maker.open(made.digest())).isEqualTo(made);
    // VMMs are other users, and change nothing.
    assertThat(Files.getPosixFilePermissions(made.directory()))
        .isEqualTo(PosixFilePermissions.fromString("rwxr-xr-x"));
    for (String part : List.of("rootfs.squashfs", "vmlinuz", "initrd", "disk.ext4")) {
      assertThat(Files.getPosixFilePermissions(made.directory().resolve(part)))
          .isEqualTo(PosixFilePermissions.fromString("r--r--r--"));
    }
  }

  @Test
  void whatTheImageSaysOfItsProcessesLiesBesideTheAgent() throws IOException {
    Image made = made(image("1"), Optional.empty(), 64);

    byte[] initrd = Files.readAllBytes(made.directory().resolve("initrd"));
    byte[] before = Files.readAllBytes(base.directory().resolve("initrd"));
    assertThat(initrd).startsWith(before);
    int begin = (before.length + 3) & ~3;
    assertThat(before.length % 4).isNotZero();
    Path archive = directory.resolve("archive");
    Files.write(archive, Arrays.copyOfRange(initrd, begin, initrd.length));
    Path unpacked = Files.createDirectory(directory.resolve("unpacked"));
    Process cpio =
        new ProcessBuilder("cpio", "--quiet", "-i")
            .directory(unpacked.toFile())
            .redirectInput(archive.toFile())
            .redirectErrorStream(true)
            .start();
    String output = new String(cpio.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(cpio.onExit().join().exitValue()).as(output).isZero();
    JsonNode said = new ObjectMapper().readTree(unpacked.resolve("image.json").toFile());
    assertThat(said.path("environment").path("GREETING").asText()).isEqualTo("hello=world");
    assertThat(said.path("directory").asText()).isEqualTo("/srv");
    assertThat(said.path("user").asText()).isEqualTo("1000:1001");
  }

  @Test
  void theSameContentIsMadeOnceAndAnotherIsAnother() throws IOException {
    TestImage image = image("1");
    Image made = made(image, Optional.empty(), 64);
    Path file = made.directory().resolve("rootfs.squashfs");
    Object written = Files.getLastModifiedTime(file);

    assertThat(made(image, Optional.empty(), 64)).isEqualTo(made);
    assertThat(Files.getLastModifiedTime(file)).isEqualTo(written);

    Image larger = made(image, Optional.empty(), 128);
    Path kernel = Files.writeString(directory.resolve("other-kernel"), "another");
    Image chosen = made(image, Optional.of(kernel), 64);
    Files.writeString(directory.resolve("other-kernel.modules"), "modules");
    Image modular = made(image, Optional.of(kernel), 64);
    assertThat(modular.digest()).isNotEqualTo(chosen.digest());
    String initrd =
        Files.readString(modular.directory().resolve("initrd"), StandardCharsets.ISO_8859_1);
    // Each archive begins at a multiple of four.
    assertThat(initrd.indexOf("modules")).isPositive();
    assertThat(initrd.indexOf("modules") % 4).isZero();
    assertThat(initrd.indexOf("070701") % 4).isZero();
    assertThat(initrd.indexOf("070701")).isGreaterThan(initrd.indexOf("modules"));
    Image other = made(image("2"), Optional.empty(), 64);
    assertThat(List.of(made.digest(), larger.digest(), chosen.digest(), other.digest()))
        .doesNotHaveDuplicates();
    assertThat(chosen.directory().resolve("vmlinuz")).hasContent("another");
    // One root for all that differ in something else.
    assertThat(Files.isSameFile(file, larger.directory().resolve("rootfs.squashfs"))).isTrue();
    assertThat(Files.isSameFile(file, other.directory().resolve("rootfs.squashfs"))).isFalse();
  }

  @Test
  void aRootGoesWithTheLastImageThatHasIt() throws IOException {
    TestImage image = image("1");
    Image one = made(image, Optional.empty(), 64);
    Image two = made(image, Optional.empty(), 128);

    maker.remove(one.digest());
    maker.remove(one.digest());
    assertThat(maker.present()).containsExactly(two.digest());
    assertThat(root.resolve("roots")).isNotEmptyDirectory();
    assertThatThrownBy(() -> maker.open(one.digest())).isInstanceOf(IOException.class);

    maker.remove(two.digest());
    assertThat(root.resolve("roots")).isEmptyDirectory();
    assertThatThrownBy(() -> maker.remove("../base")).isInstanceOf(IOException.class);
    assertThat(base.directory()).isNotEmptyDirectory();
  }

  @Test
  void whatIsNoGoodLeavesNothing() throws IOException {
    TestImage bad = image("1").layer(new byte[10], new byte[10]);
    assertThatThrownBy(() -> made(bad, Optional.empty(), 64)).isInstanceOf(ImageException.class);
    TestImage much = image("1");
    for (int i = 0; i < 255; i++) {
      much.config.withObject("/config").withArray("Env").add("V" + i + "=" + "\u0001".repeat(4000));
    }
    assertThatThrownBy(() -> made(much, Optional.empty(), 64)).isInstanceOf(ImageException.class);

    assertThat(maker.present()).isEmpty();
    assertThat(root.resolve("work")).isEmptyDirectory();
    // The root of the second one was good.
    maker.removeLeftovers();
    assertThat(root.resolve("roots")).isEmptyDirectory();
  }

  private int count;

  private Image made(TestImage image, Optional<Path> kernel, int diskMib) throws IOException {
    Path layout = image.layout(directory.resolve("layout" + count++));
    try (OciImage opened = OciImage.open(layout)) {
      return maker.make(opened, base, kernel, diskMib);
    }
  }

  private static TestImage image(String content) {
    return new TestImage().layer(new TestLayer().file("data", content));
  }

  private static void format(Path file, int sizeMib) throws IOException {
    SparseFile.create(file, (long) sizeMib << 20).close();
  }
}
