package dev.cofferdam.edge.file;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.google.protobuf.ByteString;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.Json;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.edge.protocol.SdkError;
import dev.cofferdam.edge.session.Method;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.v1.FileLock;
import dev.cofferdam.v1.FileSeek;
import dev.cofferdam.v1.FileStat;
import dev.cofferdam.v1.FileSync;
import dev.cofferdam.v1.FileTimes;
import dev.cofferdam.v1.FileUnlock;
import dev.cofferdam.v1.OpenFileRequest;
import dev.cofferdam.v1.OpenFileTarget;
import dev.cofferdam.v1.SeekOrigin;
import io.grpc.StatusException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;

/** {@code open} and what can be done with an open file. They close with their session. */
public final class HandleMethods implements SessionContext.Part {
  /** Of one session; each is a call to the sandbox that lasts. */
  static final int MAX_OPEN = 128;

  /** Bytes of a message that are not its data. */
  private static final int ENVELOPE = 1024;

  /** By the number that says so in lseek(2). */
  private static final List<SeekOrigin> ORIGINS =
      List.of(
          SeekOrigin.SEEK_ORIGIN_START,
          SeekOrigin.SEEK_ORIGIN_POSITION,
          SeekOrigin.SEEK_ORIGIN_END);

  private final SessionContext context;
  private final Map<Long, OpenFile> open = new ConcurrentHashMap<>();
  private final Semaphore room = new Semaphore(MAX_OPEN);
  private final AtomicLong ids = new AtomicLong();

  public HandleMethods(SessionContext context) {
    this.context = context;
  }

  @Override
  public Map<String, Method> methods() {
    return Map.ofEntries(
        Map.entry("open", params -> open(target(params))),
        Map.entry("create", this::create),
        Map.entry("fileRead", this::read),
        Map.entry("fileWrite", this::write),
        Map.entry("fileSeek", this::seek),
        Map.entry("fileStat", this::stat),
        Map.entry("fileSync", params -> sync(params, false)),
        Map.entry("fileSyncData", params -> sync(params, true)),
        Map.entry("fileTruncate", this::truncate),
        Map.entry("fileUtime", this::utime),
        Map.entry("fileLock", this::lock),
        Map.entry("fileUnlock", this::unlock),
        Map.entry("fileClose", this::close));
  }

  private OpenFileTarget target(Params params) throws CallError, SdkError {
    Params options = params.object("options");
    boolean write = options.flag("write", false);
    boolean append = options.flag("append", false);
    boolean create = options.flag("create", false);
    boolean createNew = options.flag("createNew", false);
    Optional<Long> mode = options.optionalNumber("mode");
    return OpenFileTarget.newBuilder()
        .setPath(GuestFiles.path(params, "path"))
        .setRead(options.flag("read", !write && !append))
        .setWrite(write)
        .setAppend(append)
        .setTruncate(options.flag("truncate", false))
        .setCreate(create)
        .setCreateNew(createNew)
        .setMode(create || createNew ? context.umask().file(mode) : 0)
        .build();
  }

  private JsonNode create(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    return open(
        OpenFileTarget.newBuilder()
            .setPath(GuestFiles.path(params, "path"))
            .setRead(true)
            .setWrite(true)
            .setCreate(true)
            .setTruncate(true)
            .setMode(context.umask().file(Optional.empty()))
            .build());
  }

  private JsonNode open(OpenFileTarget target)
      throws SdkError, StatusException, InterruptedException {
    if (!room.tryAcquire()) {
      throw new SdkError(
          "Busy", "EMFILE", "over %d files are open in this session".formatted(MAX_OPEN));
    }
    boolean opened = false;
    try {
      OpenFile file = OpenFile.open(context, target);
      long id = ids.incrementAndGet();
      open.put(id, file);
      opened = true;
      return Json.object().put("fileHandleId", id);
    } finally {
      if (!opened) {
        room.release();
      }
    }
  }

  private OpenFile file(Params params) throws CallError, SdkError {
    OpenFile file = open.get(params.number("fileHandleId"));
    if (file == null) {
      throw OpenFile.closed();
    }
    return file;
  }

  private JsonNode read(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    long length = params.optionalCount("length").orElse((long) GuestFiles.CHUNK);
    // The SDKs' own buffers are theirs to choose; what one message holds is not.
    long limit = Math.min(length, (context.peer().messageBytes() - ENVELOPE) / 4 * 3L);
    ByteString data = file(params).read(limit);
    boolean end = data.isEmpty() && length > 0 && !context.peer().python();
    return end
        ? Json.object().putNull("data")
        : Json.object().set("data", Json.base64(data.toByteArray()));
  }

  private JsonNode write(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    byte[] data =
        params.optionalBytes("data").orElseThrow(() -> CallError.parameter("data", "base64"));
    file(params).write(ByteString.copyFrom(data));
    return Json.object().put("bytesWritten", data.length);
  }

  private JsonNode seek(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    long whence = params.number("whence");
    if (whence < 0 || whence >= ORIGINS.size()) {
      throw CallError.parameter("whence", "0|1|2");
    }
    FileSeek.Builder seek =
        FileSeek.newBuilder()
            .setOffset(params.wholeNumber("offset"))
            .setOrigin(ORIGINS.get((int) whence));
    long position =
        file(params).ask(OpenFileRequest.newBuilder().setSeek(seek).build()).getPosition();
    return Json.object().put("position", position);
  }

  private JsonNode stat(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    return GuestFiles.json(
        file(params)
            .ask(OpenFileRequest.newBuilder().setStat(FileStat.getDefaultInstance()).build())
            .getFile());
  }

  private JsonNode sync(Params params, boolean dataOnly)
      throws CallError, SdkError, StatusException, InterruptedException {
    return done(
        params, OpenFileRequest.newBuilder().setSync(FileSync.newBuilder().setDataOnly(dataOnly)));
  }

  /** The SDKs call it by different names. */
  private JsonNode truncate(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    Optional<Long> size = params.optionalCount("len");
    if (size.isEmpty()) {
      size = params.optionalCount("size");
    }
    return done(params, OpenFileRequest.newBuilder().setTruncate(size.orElse(0L)));
  }

  private JsonNode utime(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    return done(
        params,
        OpenFileRequest.newBuilder()
            .setTimes(
                FileTimes.newBuilder()
                    .setAccessTime(GuestFiles.timestamp(params.time("atime")))
                    .setModifyTime(GuestFiles.timestamp(params.time("mtime")))));
  }

  private JsonNode lock(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    return done(
        params,
        OpenFileRequest.newBuilder()
            .setLock(FileLock.newBuilder().setExclusive(params.flag("exclusive", false))));
  }

  private JsonNode unlock(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    return done(params, OpenFileRequest.newBuilder().setUnlock(FileUnlock.getDefaultInstance()));
  }

  private JsonNode done(Params params, OpenFileRequest.Builder request)
      throws CallError, SdkError, StatusException, InterruptedException {
    var _ = file(params).ask(request.build());
    return NullNode.getInstance();
  }

  private JsonNode close(Params params) throws CallError, SdkError {
    OpenFile file = open.remove(params.number("fileHandleId"));
    if (file == null) {
      throw OpenFile.closed();
    }
    file.close();
    room.release();
    return NullNode.getInstance();
  }
}
