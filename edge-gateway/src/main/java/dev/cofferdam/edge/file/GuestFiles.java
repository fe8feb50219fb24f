package dev.cofferdam.edge.file;

import com.fasterxml.jackson.databind.JsonNode;
import com.google.protobuf.Timestamp;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.Json;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.edge.protocol.SdkError;
import dev.cofferdam.edge.session.GuestPath;
import dev.cofferdam.v1.FileInfo;
import java.time.Instant;
import java.time.temporal.ChronoUnit;

/** What the SDKs and the public API call the same things. */
final class GuestFiles {
  /** Of one message to or from the guest. */
  static final int CHUNK = 64 << 10;

  /** The types among a mode's bits, stat(2). */
  private static final int TYPE = 0170000;

  private static final int FIFO = 0010000;
  private static final int CHARACTER_DEVICE = 0020000;
  private static final int DIRECTORY = 0040000;
  private static final int BLOCK_DEVICE = 0060000;
  private static final int REGULAR = 0100000;
  private static final int SYMLINK = 0120000;
  private static final int SOCKET = 0140000;

  private GuestFiles() {}

  static String path(Params params, String name) throws CallError, SdkError {
    String path = params.text(name);
    if (path.isEmpty() || path.indexOf('\0') >= 0) {
      throw new SdkError("TypeError", "EINVAL", name + " is empty or has a NUL");
    }
    return GuestPath.absolute(path);
  }

  static Timestamp timestamp(Instant time) {
    return Timestamp.newBuilder()
        .setSeconds(time.getEpochSecond())
        .setNanos(time.getNano())
        .build();
  }

  /** All 21 members; the JavaScript SDK does without none. */
  static JsonNode json(FileInfo info) {
    int type = info.getRawMode() & TYPE;
    return Json.object()
        .put("isFile", type == REGULAR)
        .put("isDirectory", type == DIRECTORY)
        .put("isSymlink", type == SYMLINK)
        .put("size", info.getSize())
        .put("mtime", text(info.getModifyTime()))
        .put("atime", text(info.getAccessTime()))
        // Not every file system keeps it; the SDKs have no way to be told so.
        .put("birthtime", text(info.hasBirthTime() ? info.getBirthTime() : info.getChangeTime()))
        .put("ctime", text(info.getChangeTime()))
        .put("dev", info.getDevice())
        .put("ino", info.getInode())
        .put("mode", info.getRawMode())
        .put("nlink", info.getLinks())
        .put("uid", Integer.toUnsignedLong(info.getUid()))
        .put("gid", Integer.toUnsignedLong(info.getGid()))
        .put("rdev", info.getRawDevice())
        .put("blksize", Integer.toUnsignedLong(info.getBlockSize()))
        .put("blocks", info.getBlocks())
        .put("isBlockDevice", type == BLOCK_DEVICE)
        .put("isCharDevice", type == CHARACTER_DEVICE)
        .put("isFifo", type == FIFO)
        .put("isSocket", type == SOCKET);
  }

  /** As much of it as JavaScript keeps. */
  private static String text(Timestamp time) {
    return Instant.ofEpochSecond(time.getSeconds(), time.getNanos())
        .truncatedTo(ChronoUnit.MILLIS)
        .toString();
  }
}
