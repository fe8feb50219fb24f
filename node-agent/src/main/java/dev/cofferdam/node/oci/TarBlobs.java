package dev.cofferdam.node.oci;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.ReadableByteChannel;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/** A tar of an OCI layout, or what {@code docker save} wrote. Read in place. */
final class TarBlobs implements Blobs {
  private static final int MAX_MEMBERS = 4096;

  private record Place(long offset, long size) {}

  private final FileChannel channel;
  private final Map<String, Place> places = new HashMap<>();

  private TarBlobs(FileChannel channel) {
    this.channel = channel;
  }

  static TarBlobs open(Path file) throws IOException {
    TarBlobs blobs = new TarBlobs(FileChannel.open(file));
    try {
      blobs.index();
      return blobs;
    } catch (IOException e) {
      blobs.close();
      throw e;
    }
  }

  private void index() throws IOException {
    TarReader reader = new TarReader(channel);
    Map<String, String> links = new HashMap<>();
    for (Optional<TarEntry> next = reader.next(); next.isPresent(); next = reader.next()) {
      TarEntry entry = next.get();
      String name = entry.name().startsWith("./") ? entry.name().substring(2) : entry.name();
      if (places.size() + links.size() >= MAX_MEMBERS) {
        throw new ImageException("an archive of more than " + MAX_MEMBERS + " members");
      }
      switch (entry.type()) {
        case '0' -> places.put(name, new Place(entry.offset(), entry.size()));
        // `docker save` has a layer that is in several images once, and links to it.
        case '1' -> links.put(name, entry.link());
        case '2' -> links.put(name, resolve(name, entry.link()));
        default -> {}
      }
    }
    links.forEach((name, target) -> {
      Place place = places.get(target);
      if (place != null) {
        places.putIfAbsent(name, place);
      }
    });
  }

  /** A symbolic link's target, seen from the archive's root. */
  private static String resolve(String name, String link) {
    Deque<String> way = new ArrayDeque<>();
    for (String part : (name.substring(0, name.lastIndexOf('/') + 1) + link).split("/", -1)) {
      if (part.equals("..")) {
        var _ = way.pollLast();
      } else if (!part.isEmpty() && !part.equals(".")) {
        way.addLast(part);
      }
    }
    return String.join("/", way);
  }

  @Override
  public InputStream open(String name) throws IOException {
    Place place = places.get(name);
    if (place == null) {
      throw new ImageException(name + " is not in the archive");
    }
    return Channels.newInputStream(new Section(channel, place.offset(), place.size()));
  }

  @Override
  public boolean has(String name) {
    return places.containsKey(name);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }

  /** A part of a file. Closing it leaves the file open. */
  private static final class Section implements ReadableByteChannel {
    private final FileChannel channel;
    private final long end;
    private long at;
    private boolean open = true;

    Section(FileChannel channel, long offset, long size) {
      this.channel = channel;
      this.at = offset;
      this.end = offset + size;
    }

    @Override
    public int read(ByteBuffer target) throws IOException {
      if (at >= end) {
        return -1;
      }
      int limit = target.limit();
      target.limit((int) Math.min(limit, target.position() + (end - at)));
      try {
        int count = channel.read(target, at);
        at += Math.max(count, 0);
        return count;
      } finally {
        target.limit(limit);
      }
    }

    @Override
    public boolean isOpen() {
      return open;
    }

    @Override
    public void close() {
      open = false;
    }
  }
}
