package dev.cofferdam.node.oci;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Layers over layers, and what a layer may try. */
class ImageTreeTest {
  @TempDir Path directory;
  private final ImageTree tree = new ImageTree(1000);
  private int layers;

  @Test
  void aLayerCoversAndHidesTheOnesBelow() throws IOException {
    add(
        new TestLayer()
            .directory("./", 0750)
            .directory("etc/", 0755)
            .file("etc/kept", "1")
            .file("etc/gone", "1")
            .file("etc/covered", "1")
            .directory("var", 0755)
            .file("var/a/b", "1"));
    add(
        new TestLayer()
            .whiteout("etc/.wh.gone")
            .file("etc/covered", "22")
            .directory("etc/", 0700)
            .file("var/new", "2")
            .whiteout("var/.wh..wh..opq")
            .whiteout("nowhere/.wh.at-all")
            .whiteout(".wh..wh.aufs"));
    assertThat(files())
        .containsOnly(
            Map.entry("etc", "5:700"),
            Map.entry("etc/kept", "1"),
            Map.entry("etc/covered", "22"),
            Map.entry("var", "5:755"),
            Map.entry("var/new", "2"));
    assertThat(tree.root().inode().entry().mode()).isEqualTo(0750);
  }

  @Test
  void aWhiteoutHidesNothingOfItsOwnLayer() throws IOException {
    add(new TestLayer().file("d/old", "1"));
    add(new TestLayer().file("d/new", "2").whiteout(".wh.d").file("f", "2").whiteout(".wh.f"));
    assertThat(files())
        .containsOnly(Map.entry("d", "5:755"), Map.entry("d/new", "2"), Map.entry("f", "2"));
  }

  @Test
  void aHardLinkOutlivesTheNameItWasMadeFrom() throws IOException {
    add(new TestLayer().file("a", "content").hardLink("b", "a").hardLink("./c", "/b"));
    add(new TestLayer().whiteout(".wh.a"));
    assertThat(files()).containsOnly(Map.entry("b", "content"), Map.entry("c", "content"));
    assertThat(tree.find("b").orElseThrow().inode()).isSameAs(tree.find("c").orElseThrow().inode());
  }

  @Test
  void linksOnTheWayAreFollowedInsideTheImage() throws IOException {
    add(
        new TestLayer()
            .directory("usr/lib", 0755)
            .symbolicLink("lib", "usr/lib")
            .symbolicLink("abs", "/usr")
            .symbolicLink("up", "../../../../usr")
            .symbolicLink("etc", "/../../../etc2"));
    add(
        new TestLayer()
            .file("lib/a", "1")
            .file("abs/lib/b", "2")
            .file("up/c", "3")
            .file("etc/passwd", "4"));
    assertThat(files())
        .contains(
            Map.entry("usr/lib/a", "1"),
            Map.entry("usr/lib/b", "2"),
            Map.entry("usr/c", "3"),
            Map.entry("etc2/passwd", "4"),
            Map.entry("lib", "2:usr/lib"));
  }

  @Test
  void devicesAreLeftOutAndFifosKept() throws IOException {
    add(new TestLayer().special("dev/sda", '4').special("dev/null", '3').special("dev/pipe", '6'));
    assertThat(files()).containsOnly(Map.entry("dev", "5:755"), Map.entry("dev/pipe", "6:600"));
  }

  @Test
  void whatMakesNoSenseIsRefused() {
    refused(new TestLayer().file("../etc/passwd", ""), "'..'");
    refused(new TestLayer().file("a/../../b", ""), "'..'");
    refused(new TestLayer().hardLink("x", "../../etc/shadow"), "'..'");
    refused(new TestLayer().hardLink("x", "nothing"), "hard link");
    refused(new TestLayer().directory("d", 0755).hardLink("x", "d"), "hard link");
    refused(new TestLayer().file("f", "").file("f/g", ""), "no directory");
    refused(new TestLayer().symbolicLink("l", "l").file("l/x", ""), "more than 40 links");
    refused(new TestLayer().symbolicLink("a", "b").symbolicLink("b", "a").file("a/x", ""), "links");
    refused(new TestLayer().special("x", 'Z'), "type");
    refused(new TestLayer().file("a/".repeat(257) + "b", ""), "258 parts");
    refused(new TestLayer().file("n".repeat(256), ""), "256 bytes");
    TestLayer many = new TestLayer();
    for (int i = 0; i < 1001; i++) {
      many.directory("d" + i, 0755);
    }
    refused(many, "more than 1000 entries");
  }

  @Test
  void theArchiveIsReadBackAsItWasWritten() throws IOException {
    Map<String, byte[]> xattrs =
        Map.of("security.capability", new byte[] {1, 0, 0, 2, (byte) 0x80, (byte) 0xff, 0, '\n'});
    String longName = "long/" + "n".repeat(200) + "/\u00e4\u00ff";
    add(
        new TestLayer()
            .file(longName, "content", 06755, 4_000_000, 4_294_967_294L, xattrs)
            .hardLink("other", longName));
    Path tar = directory.resolve("flat.tar");
    try (var out = Files.newOutputStream(tar)) {
      TreeTar.write(tree, out);
    }
    try (FileChannel channel = FileChannel.open(tar)) {
      TarReader reader = new TarReader(channel);
      Map<String, TarEntry> read = new TreeMap<>();
      for (Optional<TarEntry> e = reader.next(); e.isPresent(); e = reader.next()) {
        read.put(e.get().name(), e.get());
      }
      TarEntry file = java.util.Objects.requireNonNull(read.get(longName));
      assertThat(file.uid()).isEqualTo(4_000_000);
      assertThat(file.gid()).isEqualTo(4_294_967_294L);
      assertThat(file.mode()).isEqualTo(06755);
      assertThat(file.xattrs().get("security.capability"))
          .isEqualTo(xattrs.get("security.capability"));
      assertThat(java.util.Objects.requireNonNull(read.get("other")).link()).isEqualTo(longName);
    }
  }

  @Test
  void overlaysOwnAttributesAreLeftOut() throws IOException {
    add(
        new TestLayer()
            .file(
                "f",
                "",
                0644,
                0,
                0,
                Map.of("trusted.overlay.redirect", new byte[] {'/'}, "user.a", new byte[] {'b'})));
    Path tar = directory.resolve("flat.tar");
    try (var out = Files.newOutputStream(tar)) {
      TreeTar.write(tree, out);
    }
    try (FileChannel channel = FileChannel.open(tar)) {
      assertThat(new TarReader(channel).next().orElseThrow().xattrs()).containsOnlyKeys("user.a");
    }
  }

  private void add(TestLayer layer) throws IOException {
    add(tree, layer);
  }

  private void add(ImageTree into, TestLayer layer) throws IOException {
    Path file = Files.write(directory.resolve("layer" + layers++), layer.tar());
    into.nextLayer(file);
    try (FileChannel channel = FileChannel.open(file)) {
      TarReader reader = new TarReader(channel);
      for (Optional<TarEntry> e = reader.next(); e.isPresent(); e = reader.next()) {
        into.add(e.get());
      }
    }
  }

  private void refused(TestLayer layer, String why) {
    assertThatThrownBy(() -> add(new ImageTree(1000), layer))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining(why);
  }

  private Map<String, String> files() throws IOException {
    Map<String, String> files = new TreeMap<>();
    list("", tree.root(), files);
    return files;
  }

  private static void list(String prefix, ImageTree.Node node, Map<String, String> files)
      throws IOException {
    for (var child : node.children().entrySet()) {
      TarEntry entry = child.getValue().inode().entry();
      String path = prefix + child.getKey();
      files.put(
          path,
          switch (entry.type()) {
            case '0' -> content(child.getValue().inode());
            case '2' -> "2:" + entry.link();
            default -> entry.type() + ":" + Integer.toOctalString(entry.mode());
          });
      list(path + "/", child.getValue(), files);
    }
  }

  private static String content(ImageTree.Inode inode) throws IOException {
    byte[] all = Files.readAllBytes(inode.layer());
    return new String(
        all, (int) inode.entry().offset(), (int) inode.entry().size(), StandardCharsets.ISO_8859_1);
  }
}
