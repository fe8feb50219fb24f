package dev.cofferdam.node.build;

import dev.cofferdam.node.disk.DiskRoom;
import dev.cofferdam.node.oci.BuiltImage;
import dev.cofferdam.node.oci.OciImage;
import dev.cofferdam.node.sandbox.Relay;
import dev.cofferdam.node.template.TemplateOrder.ImageSource;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.function.LongSupplier;

/**
 * Builds what a tenant says in a sandbox of the tenant's, and takes what its file system is then as
 * an image. Everything that the tenant chose runs and is read in there; what comes out is one tar
 * archive, which goes the way of every other image's layers. Safe for use by several threads.
 */
public final class GuestBuilds {
  private static final Duration STEP = Duration.ofMinutes(20);

  /**
   * Both of its outputs into one pipe: of two, nothing tells in what order they were written, and
   * the end of one may push out what the other said of a failure.
   */
  private static final List<String> TOGETHER = List.of("/bin/sh", "-c", "exec \"$@\" 2>&1", "sh");

  /** As the installation of a service would start it: policy-rc.d(8) of invoke-rc.d(8). */
  private static final String INSTALL =
      """
      policy=/usr/sbin/policy-rc.d
      if [ ! -e $policy ]; then
        printf '#!/bin/sh\\nexit 101\\n' >$policy
        chmod 755 $policy
        trap 'rm -f $policy' EXIT
      fi
      apt-get -q -o APT::Update::Error-Mode=any -o Acquire::Languages=none update
      apt-get -q -y --no-install-recommends -o APT::Cmd::Pattern-Only=true -o Dpkg::Use-Pty=0 install -- "$@"
      apt-get clean
      """;

  private static final String SOURCES =
      """
      rm -rf /etc/apt/sources.list.d/*
      printf '%s\\n' "$@" >/etc/apt/sources.list
      """;

  /**
   * The agent made the sandbox's own certificate authority known (guest-agent's identity.go): each
   * sandbox of the template has another. Where update-ca-certificates(8) ran meanwhile, its other
   * stores have it too.
   */
  private static final String FORGET =
      """
      own=/usr/local/share/ca-certificates/cofferdam.crt
      bundle=/etc/ssl/certs/ca-certificates.crt
      if [ -s $own ] && [ -f $bundle ]; then
        awk -v own=$own '
          BEGIN { while ((getline line < own) > 0) known = known line "\\n" }
          /^-----BEGIN CERTIFICATE-----/ { block = ""; inside = 1 }
          inside {
            block = block $0 "\\n"
            if (/^-----END CERTIFICATE-----/) { inside = 0; if (block != known) printf "%s", block }
            next
          }
          { print }' $bundle >$bundle.without
        cat $bundle.without >$bundle
        rm $bundle.without
      fi
      rm -f $own
      if [ -L /etc/ssl/certs/cofferdam.pem ] && command -v update-ca-certificates >/dev/null; then
        update-ca-certificates --fresh >/dev/null
      fi
      """;

  /** Of the one file system that the guest's root is; what is mounted in it is the kernel's. */
  private static final List<String> TAR =
      List.of(
          "tar",
          "--create",
          "--file=-",
          // As much at a time as a message has room for.
          "--blocking-factor=128",
          "--directory=/",
          "--one-file-system",
          "--format=posix",
          "--pax-option=delete=atime,delete=ctime",
          "--numeric-owner",
          "--xattrs",
          "--xattrs-include=*",
          "--exclude=./tmp/*",
          "--exclude=./var/tmp/*",
          "--exclude=./var/lib/apt/lists/*",
          "--exclude=./var/cache/apt/*",
          ".");

  /** tar(1): a file changed while it was read, as it may in what runs. */
  private static final int TAR_CHANGED = 1;

  private final Path work;
  private final long limit;
  private final LongSupplier room;
  private final Duration step;
  private volatile Function<String, Relay> sandboxes =
      sandbox -> {
        throw new IllegalStateException("no sandbox is known yet, nor " + sandbox);
      };

  /**
   * @param work of file systems that were taken; emptied
   * @param limit of one of them, in bytes
   * @param room bytes that the host has now; see {@link DiskRoom}
   */
  public GuestBuilds(Path work, long limit, LongSupplier room) throws IOException {
    this(work, limit, room, STEP);
  }

  GuestBuilds(Path work, long limit, LongSupplier room, Duration step) throws IOException {
    this.work = work;
    this.limit = limit;
    this.room = room;
    this.step = step;
    Files.createDirectories(work);
    // What a process that was killed left behind.
    try (var files = Files.list(work)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
  }

  /**
   * @param reach the way to a sandbox that runs
   */
  public void within(Function<String, Relay> reach) {
    sandboxes = reach;
  }

  /**
   * Blocks for minutes. Not to be repeated: a step may have been done.
   *
   * @return the image; closing it removes what it was taken into
   * @throws IOException naming what failed, with the end of its output
   */
  public OciImage build(ImageSource.Built source) throws IOException {
    String sandbox = source.sandbox();
    if (!source.sources().isEmpty()) {
      run(sandbox, "setting the sources", shell(SOURCES, source.sources()));
    }
    if (!source.packages().isEmpty()) {
      run(sandbox, "installing the packages", shell(INSTALL, source.packages()));
    }
    int number = 1;
    for (String text : source.steps()) {
      run(sandbox, "step " + number++, shell(text, List.of()));
    }
    run(sandbox, "forgetting the sandbox", shell(FORGET, List.of()));
    Path taken = Files.createTempFile(work, "root-", ".tar");
    try {
      take(sandbox, taken);
      return BuiltImage.of(taken);
    } catch (IOException | RuntimeException e) {
      Files.deleteIfExists(taken);
      throw e;
    }
  }

  private static List<String> shell(String script, List<String> arguments) {
    List<String> argv = new ArrayList<>(TOGETHER);
    argv.addAll(List.of("/bin/sh", "-ec", script, "sh"));
    argv.addAll(arguments);
    return argv;
  }

  private void run(String sandbox, String what, List<String> argv) throws IOException {
    Tail tail = new Tail();
    int code;
    try {
      code = new GuestCommand(what, argv).run(sandboxes.apply(sandbox), step, tail, tail);
    } catch (IOException e) {
      throw new IOException(told(String.valueOf(e.getMessage()), tail), e);
    }
    if (code != 0) {
      throw new IOException(told(what + " ended with " + code, tail));
    }
  }

  private void take(String sandbox, Path target) throws IOException {
    Tail tail = new Tail();
    // It is unpacked and packed again before it goes.
    long allowed = Math.min(limit, room.getAsLong() / 3);
    int code;
    try (OutputStream out =
        new Bounded(Files.newOutputStream(target, StandardOpenOption.TRUNCATE_EXISTING), allowed)) {
      code =
          new GuestCommand("taking the file system", TAR)
              .run(sandboxes.apply(sandbox), step, out, tail);
    }
    if (code != 0 && code != TAR_CHANGED) {
      throw new IOException(told("taking the file system ended with " + code, tail));
    }
  }

  private static String told(String what, Tail tail) {
    String text = tail.text();
    return text.isEmpty() ? what : what + ": " + text;
  }

  /** A guest may send for ever. */
  private static final class Bounded extends FilterOutputStream {
    private final long allowed;
    private long left;

    Bounded(OutputStream out, long allowed) {
      super(out);
      this.allowed = allowed;
      this.left = allowed;
    }

    @Override
    public void write(int value) throws IOException {
      count(1);
      out.write(value);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      count(length);
      out.write(bytes, offset, length);
    }

    private void count(int bytes) throws IOException {
      left -= bytes;
      if (left < 0) {
        throw new IOException(
            "its file system is larger than allowed: more than %d bytes".formatted(allowed));
      }
    }
  }
}
