package dev.cofferdam.edge.session;

import com.google.common.base.Splitter;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Paths as the public API wants them, absolute and without {@code ..}. The SDKs' paths may be
 * relative; they begin where a process does that names no directory.
 */
public final class GuestPath {
  /** The home of the guest's root, whom the templates' processes run as. */
  private static final String HOME = "/root";

  private GuestPath() {}

  /** By the text alone: what a link on the way would make of {@code ..} is not asked. */
  public static String absolute(String path) {
    Deque<String> parts = new ArrayDeque<>();
    String whole = path.startsWith("/") ? path : HOME + "/" + path;
    for (String part : Splitter.on('/').split(whole)) {
      switch (part) {
        case "", "." -> {
          // Names no other place.
        }
        case ".." -> parts.pollLast();
        default -> parts.addLast(part);
      }
    }
    return "/" + String.join("/", parts);
  }
}
