package dev.cofferdam.node.oci;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BuiltImageTest {
  @TempDir Path directory;

  @Test
  void whatIsOneSandboxsOwnIsInNoCopy() throws IOException {
    ImageTree tree =
        tree(
            new TestLayer()
                .directory("./", 0755)
                .file("./etc/machine-id", "0123")
                .file("./etc/hostname", "builder")
                .file("./etc/passwd", "root:x:0:0::/root:/bin/sh")
                .file("./etc/ssh/ssh_host_ed25519_key", "private")
                .file("./etc/ssh/sshd_config", "Port 22")
                .file("./usr/local/share/ca-certificates/cofferdam.crt", "PEM")
                .file("./usr/local/share/ca-certificates/mine.crt", "PEM")
                .file("./usr/local/share/cofferdam/java-cacerts", "JKS")
                .file("./var/lib/dbus/machine-id", "0123")
                .file("./var/lib/apt/lists/archive_Packages", "")
                .file("./var/lib/dpkg/status", "")
                .file("./tmp/of-the-build", "")
                .directory("./run/daemon", 0700));

    for (String gone :
        new String[] {
          "etc/machine-id",
          "etc/hostname",
          "etc/ssh/ssh_host_ed25519_key",
          "usr/local/share/ca-certificates/cofferdam.crt",
          "usr/local/share/cofferdam/java-cacerts",
          "var/lib/dbus/machine-id",
          "var/lib/apt/lists/archive_Packages",
          "tmp/of-the-build",
          "run/daemon"
        }) {
      assertThat(tree.find(gone)).as(gone).isEmpty();
    }
    for (String kept :
        new String[] {
          "etc/passwd",
          "etc/ssh/sshd_config",
          "usr/local/share/ca-certificates/mine.crt",
          "var/lib/dpkg/status"
        }) {
      assertThat(tree.find(kept)).as(kept).isPresent();
    }
    // There to be mounted on, as a root needs them.
    assertThat(tree.find("tmp").orElseThrow().inode().entry().mode()).isEqualTo(01777);
    assertThat(tree.find("proc").orElseThrow().inode().entry().mode()).isEqualTo(0555);
  }

  @Test
  void aLinkOnTheWayKeepsNothing() throws IOException {
    ImageTree tree =
        tree(
            new TestLayer()
                .directory("elsewhere", 0755)
                .file("elsewhere/machine-id", "0123")
                .symbolicLink("etc", "elsewhere")
                .symbolicLink("tmp", "/proc"));
    assertThat(tree.find("elsewhere/machine-id")).isEmpty();
    assertThat(tree.find("tmp").orElseThrow().inode().entry().type()).isEqualTo('5');
  }

  @Test
  void whatItsGuestPackedIsHeldToTheSameAsEveryLayer() throws IOException {
    assertThatThrownBy(() -> tree(new TestLayer().file("../escape", "x")))
        .isInstanceOf(ImageException.class)
        .hasMessageContaining("'..'");
    byte[] whole = new TestLayer().file("f", "x".repeat(2000)).tar();
    Path cut = Files.write(directory.resolve("cut.tar"), Arrays.copyOf(whole, 700));
    assertThatThrownBy(
            () -> {
              try (OciImage image = BuiltImage.of(cut)) {
                var _ = new RootMaker(ImageLimits.DEFAULT).tree(image, work());
              }
            })
        .isInstanceOf(IOException.class);
    Path large = Files.write(directory.resolve("large.tar"), new TestLayer().file("f", "x").tar());
    try (OciImage image = BuiltImage.of(large)) {
      assertThatThrownBy(
              () -> new RootMaker(ImageLimits.DEFAULT.withBytes(1024)).tree(image, work()))
          .isInstanceOf(ImageException.class)
          .hasMessageContaining("larger than allowed");
    }
  }

  @Test
  void theSameContentHasTheSameDigestAndNothingStays() throws IOException {
    Path one = Files.write(directory.resolve("1.tar"), new TestLayer().file("f", "x").tar());
    Path same = Files.write(directory.resolve("2.tar"), new TestLayer().file("f", "x").tar());
    Path other = Files.write(directory.resolve("3.tar"), new TestLayer().file("f", "y").tar());
    try (OciImage first = BuiltImage.of(one);
        OciImage second = BuiltImage.of(same);
        OciImage third = BuiltImage.of(other)) {
      assertThat(first.digest()).isEqualTo(second.digest()).isNotEqualTo(third.digest());
    }
    assertThat(one).doesNotExist();
  }

  private ImageTree tree(TestLayer taken) throws IOException {
    Path tar = Files.write(Files.createTempFile(directory, "taken", ".tar"), taken.tar());
    try (OciImage image = BuiltImage.of(tar)) {
      return new RootMaker(ImageLimits.DEFAULT).tree(image, work());
    }
  }

  private Path work() throws IOException {
    return Files.createTempDirectory(directory, "work");
  }
}
