package dev.cofferdam.node.oci;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Images as tools leave them, and as somebody tampered with them. */
class RootMakerTest {
  private static final Path UNSQUASHFS = Path.of("/usr/bin/unsquashfs");

  @TempDir Path directory;
  private int count;

  @Test
  void whatAnImageHoldsIsInTheRoot() throws Exception {
    Assumptions.assumeTrue(Files.isExecutable(UNSQUASHFS), "no squashfs-tools on this machine");
    Path root = directory.resolve("root");
    try (OciImage image = OciImage.open(image().layout(directory.resolve("layout")))) {
      assertThat(image.config().environment())
          .containsOnly(Map.entry("PATH", "/opt/bin:/bin"), Map.entry("GREETING", "hello=world"));
      assertThat(image.config().directory()).isEqualTo("/srv");
      assertThat(image.config().user()).isEqualTo("1000:1001");
      new RootMaker(ImageLimits.DEFAULT).make(image, work(), root);
    }
    String listing = run(UNSQUASHFS.toString(), "-lln", root.toString());
    assertThat(listing)
        .containsPattern("-rwsr-xr-x 1234/70000 +5 .*squashfs-root/bin/tool\n")
        .containsPattern("-rwsr-xr-x 1234/70000 +5 .*squashfs-root/bin/same\n")
        .containsPattern("lrwxrwxrwx .*squashfs-root/lib -> usr/lib\n")
        // Not of now: the same image gives the same bytes at any time.
        .containsPattern("drwxr-x--- 0/0 .*19(69|70)-.*squashfs-root\n")
        .contains("squashfs-root/usr/lib/library")
        .doesNotContain("hidden");
    assertThat(run(UNSQUASHFS.toString(), "-cat", root.toString(), "bin/same")).isEqualTo("tool\n");
    // The kernel's own eye, for the bytes of a capability.
    Path out = directory.resolve("out");
    if ("root".equals(System.getProperty("user.name"))) {
      run(UNSQUASHFS.toString(), "-q", "-n", "-d", out.toString(), root.toString());
      assertThat(Files.getAttribute(out.resolve("bin/same"), "unix:ino"))
          .isEqualTo(Files.getAttribute(out.resolve("bin/tool"), "unix:ino"));
      assertThat(run("/sbin/getcap", out.resolve("bin/tool").toString())).contains("cap_setuid=ep");
    }
  }

  @Test
  void theSameImageGivesTheSameBytesInEveryForm() throws IOException {
    Assumptions.assumeTrue(Files.isExecutable(UNSQUASHFS), "no squashfs-tools on this machine");
    Path layout = image().layout(directory.resolve("layout"));
    Path saved = image().dockerSave(directory.resolve("saved.tar"));
    Path tarred = directory.resolve("layout.tar");
    run("tar", "-C", layout.toString(), "-cf", tarred.toString(), ".");
    byte[] first = made(layout);
    assertThat(made(saved)).isEqualTo(first);
    assertThat(made(tarred)).isEqualTo(first);
    try (OciImage one = OciImage.open(layout);
        OciImage other = OciImage.open(saved)) {
      assertThat(one.digest()).isEqualTo(other.digest());
    }
  }

  @Test
  void aBlobThatIsNotWhatItsDigestSaysIsRefused() throws IOException {
    for (String what : List.of("layer", "configuration", "manifest")) {
      Path layout = image().layout(directory.resolve("tampered-" + what));
      for (Path blob : blobs(layout)) {
        byte[] content = Files.readAllBytes(blob);
        boolean json = content[0] == '{';
        boolean manifest =
            new String(content, StandardCharsets.ISO_8859_1).contains("\"layers\":[");
        if (what.equals(!json ? "layer" : manifest ? "manifest" : "configuration")) {
          content[content.length - 2] ^= 1;
          Files.write(blob, content);
        }
      }
      refusedAt(layout, what.equals("layer") ? "layer" : "digest");
    }
  }

  @Test
  void aLayerThatUnpacksToSomethingElseIsRefused() throws IOException {
    TestLayer told = new TestLayer().file("a", "1");
    TestLayer real = new TestLayer().file("a", "2");
    refused(image -> image.layer(told.tar(), TestLayer.gzip(real.tar())), "unpacks to");
  }

  @Test
  void aLayerPackedByZstdIsTheSameLayer() throws IOException {
    TestLayer data = new TestLayer().file("data", "x".repeat(50_000)).directory("d", 0700);
    byte[] plain =
        made(new TestImage().layer(data.tar(), data.tar()).layout(directory.resolve("plain")));
    byte[] packed = TestLayer.zstd(data.tar(), 23);
    assertThat(packed.length).isLessThan(10_000);
    assertThat(made(new TestImage().layer(data.tar(), packed).layout(directory.resolve("zstd"))))
        .isEqualTo(plain);
    // Frames that are skipped come behind it in images that can be read in part.
    byte[] skipped = {0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2};
    byte[] both = Arrays.copyOf(packed, packed.length + skipped.length);
    System.arraycopy(skipped, 0, both, packed.length, skipped.length);
    assertThat(made(new TestImage().layer(data.tar(), both).layout(directory.resolve("both"))))
        .isEqualTo(plain);
  }

  @Test
  void whatZstdCannotUnpackOrWantsTooMuchForIsRefused() throws IOException {
    byte[] member = new TestLayer().file("a", "x".repeat(5000)).tar();
    refused(image -> image.layer(member, TestLayer.zstd(member, 24)), "too much memory");
    byte[] packed = TestLayer.zstd(member, 23);
    refused(image -> image.layer(member, Arrays.copyOf(packed, packed.length - 8)), "broken");
    byte[] wrong = packed.clone();
    wrong[wrong.length / 2] ^= 0x55;
    refused(image -> image.layer(member, wrong), "layer");
    byte[] header = {0x28, (byte) 0xb5, 0x2f, (byte) 0xfd, 0};
    refused(image -> image.layer(header, header), "broken");
    byte[] other = new TestLayer().file("a", "y").tar();
    refused(image -> image.layer(member, TestLayer.zstd(other, 23)), "unpacks to");
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aBombIsStoppedBeforeItFillsTheDisk(boolean zstd) throws IOException {
    byte[] zeros = new byte[64 << 20];
    byte[] packed = zstd ? TestLayer.zstd(zeros, 23) : TestLayer.gzip(zeros);
    assertThat(packed.length).isLessThan(1 << 20);
    Path layout = new TestImage().layer(zeros, packed).layout(directory.resolve("bomb"));
    Path work = work();
    try (OciImage image = OciImage.open(layout)) {
      assertThatThrownBy(() ->
              new RootMaker(new ImageLimits(8 << 20, 100, 10))
                  .make(image, work, directory.resolve("root")))
          .isInstanceOf(ImageException.class)
          .hasMessageContaining("larger than allowed");
    }
    try (var files = Files.list(work)) {
      for (Path file : files.toList()) {
        assertThat(Files.size(file)).isLessThanOrEqualTo(8 << 20);
      }
    }
  }

  @Test
  void whatCannotBeAnImageIsRefused() throws IOException {
    refused(image -> image.config.put("architecture", "arm64"), "linux/arm64");
    refused(image -> image.layer(new byte[10], new byte[10]), "within a header");
    byte[] member = new TestLayer().file("a", "x".repeat(5000)).tar();
    byte[] cut = Arrays.copyOf(member, 1024);
    refused(image -> image.layer(cut, cut), "within a member");
    byte[] wrong = member.clone();
    wrong[0] ^= 1;
    refused(image -> image.layer(wrong, wrong), "checksum");
    byte[] half = Arrays.copyOf(TestLayer.gzip(member), 40);
    refused(image -> image.layer(member, half), "broken");

    Path empty = Files.createDirectory(directory.resolve("empty"));
    refusedAt(empty, "neither an OCI layout");
    Files.writeString(empty.resolve("index.json"), "[".repeat(100_000));
    refusedAt(empty, "index.json");
    Files.writeString(empty.resolve("index.json"), "{\"manifests\":[]}");
    refusedAt(empty, "0 images");
    Files.writeString(
        empty.resolve("index.json"),
        "{\"manifests\":[{\"digest\":\"sha256:../../../etc/shadow\"}]}");
    refusedAt(empty, "sha256:");
    Path outside = Files.writeString(directory.resolve("outside.json"), "{}");
    TestLayer archive =
        new TestLayer()
            .symbolicLink("config.json", outside.toString())
            .file("manifest.json", "[{\"Config\":\"config.json\",\"Layers\":[]}]");
    refusedAt(Files.write(directory.resolve("escape.tar"), archive.tar()), "not in the archive");
  }

  private void refused(Consumer<TestImage> change, String why) throws IOException {
    TestImage image = image();
    change.accept(image);
    refusedAt(image.layout(directory.resolve("refused" + count++)), why);
  }

  private void refusedAt(Path path, String why) {
    assertThatThrownBy(() -> made(path))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining(why);
  }

  private byte[] made(Path path) throws IOException {
    Path root = directory.resolve("made" + count++);
    try (OciImage image = OciImage.open(path)) {
      new RootMaker(ImageLimits.DEFAULT).make(image, work(), root);
    }
    return Files.readAllBytes(root);
  }

  private Path work() throws IOException {
    return Files.createDirectory(directory.resolve("work" + count++));
  }

  private static TestImage image() {
    // cap_setuid in the effective and permitted sets: capabilities(7), version 2.
    byte[] capability = new byte[20];
    capability[0] = 1;
    capability[3] = 2;
    capability[4] = (byte) 0x80;
    return new TestImage()
        .layer(
            new TestLayer()
                .directory("./", 0750)
                .directory("usr/lib", 0755)
                .symbolicLink("lib", "usr/lib")
                .file("hidden", "x")
                .file(
                    "bin/tool",
                    "tool\n",
                    04755,
                    1234,
                    70000,
                    Map.of("security.capability", capability)))
        .layer(
            new TestLayer()
                .file("lib/library", "x".repeat(10_000))
                .hardLink("bin/same", "bin/tool")
                .whiteout(".wh.hidden"));
  }

  private static List<Path> blobs(Path layout) throws IOException {
    try (var files = Files.list(layout.resolve("blobs/sha256"))) {
      return files.toList();
    }
  }

  private static String run(String... command) throws IOException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.onExit().join().exitValue()).as(output).isZero();
    return output;
  }
}
