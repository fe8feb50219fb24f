package dev.cofferdam.node.oci;

import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The files of an image: layers one over another (OCI image specification, layer.md). A tree in
 * memory stands for the root, so there is nothing outside of it that a name could lead to. Not safe
 * for use by several threads.
 */
final class ImageTree {
  private static final String WHITEOUT = ".wh.";
  private static final String OPAQUE = ".wh..wh..opq";
  private static final int MAX_LINKS = 40;
  private static final int MAX_PART = 255;
  private static final int MAX_DEPTH = 256;
  private static final Pattern SLASHES = Pattern.compile("/+");

  /** A file's content and attributes; hard links share one. */
  record Inode(TarEntry entry, Path layer) {}

  /** A name. Directories have children. */
  static final class Node {
    private Inode inode;
    private int layer;
    private final @Nullable TreeMap<String, Node> children;

    private Node(Inode inode, int layer) {
      this.inode = inode;
      this.layer = layer;
      this.children = inode.entry().type() == '5' ? new TreeMap<>() : null;
    }

    Inode inode() {
      return inode;
    }

    /** By name; empty for what is no directory. */
    Map<String, Node> children() {
      return children == null ? Map.of() : children;
    }
  }

  private final int maxEntries;
  private final Node root;
  private int entries;
  private int layer;
  private Path file = Path.of("");

  ImageTree(int maxEntries) {
    this.maxEntries = maxEntries;
    this.root = new Node(new Inode(directory(), file), 0);
  }

  Node root() {
    return root;
  }

  /**
   * What follows is of the next layer.
   *
   * @param newFile where the contents of its files lie
   */
  void nextLayer(Path newFile) {
    layer++;
    file = newFile;
  }

  /**
   * @throws ImageException when it makes no sense, or is one too many
   */
  void add(TarEntry entry) throws ImageException {
    if (++entries > maxEntries) {
      throw new ImageException("more than " + maxEntries + " entries");
    }
    List<String> parts = parts(entry.name(), "name");
    if (parts.isEmpty()) {
      if (entry.type() == '5') {
        root.inode = new Inode(entry, file);
      }
      return;
    }
    String name = parts.removeLast();
    if (name.startsWith(WHITEOUT)) {
      whiteout(parts, name);
      return;
    }
    switch (entry.type()) {
      case '0', '2', '6' -> place(parts, name, new Inode(entry, file));
      case '1' -> place(parts, name, linked(entry));
      case '5' -> placeDirectory(parts, name, entry);
      // A guest's devices are its kernel's: devtmpfs has them, and the image is mounted without.
      case '3', '4' -> {}
      default ->
          throw new ImageException(
              "%s is of type '%c', which no image has".formatted(entry.name(), entry.type()));
    }
  }

  /** Final components are not followed; empty where there is nothing. */
  Optional<Node> find(String path) throws ImageException {
    List<String> parts = parts(path, "path");
    if (parts.isEmpty()) {
      return Optional.of(root);
    }
    String name = parts.removeLast();
    return walk(parts, false).map(parent -> parent.children().get(name));
  }

  private void place(List<String> parent, String name, Inode inode) throws ImageException {
    children(parent, name).put(name, new Node(inode, layer));
  }

  private void placeDirectory(List<String> parent, String name, TarEntry entry)
      throws ImageException {
    Map<String, Node> siblings = children(parent, name);
    Node present = siblings.get(name);
    if (present != null && present.children != null) {
      present.inode = new Inode(entry, file);
      present.layer = layer;
    } else {
      siblings.put(name, new Node(new Inode(entry, file), layer));
    }
  }

  private Map<String, Node> children(List<String> path, String name) throws ImageException {
    Node parent = walk(path, true).orElseThrow();
    if (parent.children == null) {
      throw new ImageException(
          "/%s/%s lies in what is no directory".formatted(String.join("/", path), name));
    }
    return parent.children;
  }

  private Inode linked(TarEntry entry) throws ImageException {
    Optional<Node> target = find(entry.link());
    if (target.isEmpty() || target.get().children != null) {
      throw new ImageException(
          "%s is a hard link to %s, expected a file of this or a lower layer"
              .formatted(entry.name(), entry.link()));
    }
    return target.get().inode();
  }

  /** Hides what lower layers have; of its own layer it hides nothing, whatever the order. */
  private void whiteout(List<String> parts, String name) throws ImageException {
    Optional<Node> parent = walk(parts, false);
    if (parent.isEmpty() || parent.get().children == null) {
      return;
    }
    Map<String, Node> siblings = parent.get().children;
    if (name.equals(OPAQUE)) {
      removeLower(siblings);
    } else if (!name.startsWith(WHITEOUT + WHITEOUT)) {
      String hidden = name.substring(WHITEOUT.length());
      Node node = siblings.get(hidden);
      if (node != null && goes(node)) {
        siblings.remove(hidden);
      }
    }
  }

  private void removeLower(Map<String, Node> siblings) {
    Iterator<Node> nodes = siblings.values().iterator();
    while (nodes.hasNext()) {
      if (goes(nodes.next())) {
        nodes.remove();
      }
    }
  }

  /** Whether nothing of this layer is in it; takes away what is of lower ones. */
  private boolean goes(Node node) {
    if (node.children != null) {
      removeLower(node.children);
      return node.layer < layer && node.children.isEmpty();
    }
    return node.layer < layer;
  }

  /**
   * As the guest would, from its root: links are followed, {@code ..} ends at the root.
   *
   * @param make directories that are not there
   */
  private Optional<Node> walk(List<String> path, boolean make) throws ImageException {
    Deque<String> todo = new ArrayDeque<>(path);
    Deque<Node> way = new ArrayDeque<>(List.of(root));
    int followed = 0;
    while (!todo.isEmpty()) {
      String part = todo.pop();
      if (part.equals("..")) {
        if (way.size() > 1) {
          way.pop();
        }
        continue;
      }
      Map<String, Node> siblings = way.element().children;
      if (siblings == null) {
        return Optional.of(way.element());
      }
      Node next = siblings.get(part);
      if (next == null) {
        if (!make) {
          return Optional.empty();
        }
        if (++entries > maxEntries) {
          throw new ImageException("more than " + maxEntries + " entries");
        }
        next = new Node(new Inode(directory(), file), layer);
        siblings.put(part, next);
      }
      if (next.inode.entry().type() == '2') {
        if (++followed > MAX_LINKS) {
          throw new ImageException(
              "/%s leads through more than %d links".formatted(String.join("/", path), MAX_LINKS));
        }
        String target = next.inode.entry().link();
        if (target.startsWith("/")) {
          way.clear();
          way.push(root);
        }
        split(target).reversed().forEach(todo::push);
      } else {
        way.push(next);
      }
    }
    return Optional.of(way.element());
  }

  /** Of an entry's own name: from the root, and never up. */
  private static List<String> parts(String name, String what) throws ImageException {
    List<String> parts = split(name);
    if (parts.contains("..")) {
      throw new ImageException("a " + what + " with '..' in it: " + name);
    }
    if (parts.size() > MAX_DEPTH) {
      throw new ImageException(
          "a %s of %d parts, expected at most %d".formatted(what, parts.size(), MAX_DEPTH));
    }
    for (String part : parts) {
      if (part.length() > MAX_PART) {
        throw new ImageException(
            "a %s with a part of %d bytes, expected at most %d"
                .formatted(what, part.length(), MAX_PART));
      }
    }
    return parts;
  }

  private static List<String> split(String path) {
    List<String> parts = new ArrayList<>(List.of(SLASHES.split(path, -1)));
    parts.removeIf(part -> part.isEmpty() || part.equals("."));
    return parts;
  }

  private static TarEntry directory() {
    return new TarEntry("", '5', 0755, 0, 0, 0, 0, "", Map.of(), 0);
  }
}
