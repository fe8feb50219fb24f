package dev.cofferdam.edge.file;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.TextNode;
import com.google.protobuf.ByteString;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.Json;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.edge.protocol.SdkError;
import dev.cofferdam.edge.session.InputStreams.Input;
import dev.cofferdam.edge.session.InputStreams.InputFailedException;
import dev.cofferdam.edge.session.Method;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.edge.session.Umask;
import dev.cofferdam.kit.client.TwoWayCall;
import dev.cofferdam.v1.FileInfo;
import dev.cofferdam.v1.FileType;
import dev.cofferdam.v1.ListDirectoryRequest;
import dev.cofferdam.v1.ListDirectoryResponse;
import dev.cofferdam.v1.MakeDirectoryRequest;
import dev.cofferdam.v1.MoveFileRequest;
import dev.cofferdam.v1.OpenFileTarget;
import dev.cofferdam.v1.ReadFileRequest;
import dev.cofferdam.v1.ReadFileResponse;
import dev.cofferdam.v1.RemoveFileRequest;
import dev.cofferdam.v1.StatFileRequest;
import dev.cofferdam.v1.WriteFileRequest;
import dev.cofferdam.v1.WriteFileResponse;
import dev.cofferdam.v1.WriteFileTarget;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;

/** Whole files and directories. */
public final class FileMethods implements SessionContext.Part {
  private final SessionContext context;

  public FileMethods(SessionContext context) {
    this.context = context;
  }

  @Override
  public Map<String, Method> methods() {
    return Map.of(
        "readFile",
        params -> Json.base64(read(params)),
        "readTextFile",
        params -> TextNode.valueOf(text(read(params))),
        "writeFile",
        this::writeFile,
        "writeTextFile",
        this::writeTextFile,
        "readDir",
        this::readDir,
        "mkdir",
        this::mkdir,
        "remove",
        this::remove,
        "rename",
        this::rename);
  }

  private byte[] read(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    String path = GuestFiles.path(params, "path");
    // What cannot be answered in one message need not be fetched.
    int limit = context.peer().messageBytes() / 4 * 3;
    ByteArrayOutputStream content = new ByteArrayOutputStream();
    BlockingClientCall<?, ReadFileResponse> call =
        context
            .tenant()
            .largeFiles()
            .readFile(
                ReadFileRequest.newBuilder().setSandbox(context.sandbox()).setPath(path).build());
    try {
      for (ReadFileResponse part = call.read(); part != null; part = call.read()) {
        content.writeBytes(part.getData().toByteArray());
        context.memory().add(part.getData().size());
        if (content.size() > limit) {
          throw new SdkError(
              "RangeError",
              "EFBIG",
              "%s has over %d bytes, more than this SDK takes in one message"
                  .formatted(path, limit));
        }
      }
      return content.toByteArray();
    } finally {
      context.memory().subtract(content.size());
      call.cancel("done", null);
    }
  }

  private static String text(byte[] content) throws SdkError {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(content)).toString();
    } catch (CharacterCodingException e) {
      throw new SdkError("TypeError", "EINVAL", "the file is not UTF-8");
    }
  }

  private JsonNode writeFile(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    return write(params, params.optionalBytes("content"));
  }

  private JsonNode writeTextFile(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    return write(
        params, params.optionalText("content").map(text -> text.getBytes(StandardCharsets.UTF_8)));
  }

  private JsonNode write(Params params, Optional<byte[]> content)
      throws CallError, SdkError, StatusException, InterruptedException {
    String path = GuestFiles.path(params, "path");
    Params options = params.object("options");
    Optional<Long> stream = params.optionalNumber("contentStreamId");
    Optional<Input> input =
        stream.isPresent() ? Optional.of(context.inputs().take(stream.get())) : Optional.empty();
    try {
      boolean append = options.flag("append", false);
      boolean createNew = options.flag("createNew", false);
      boolean create = options.flag("create", true);
      Optional<Long> mode = options.optionalNumber("mode");
      Optional<FileInfo> old = old(path);
      if (append || createNew || (old.isPresent() && writtenInto(old.get()))) {
        return writeInto(
            OpenFileTarget.newBuilder()
                .setPath(path)
                .setWrite(true)
                .setAppend(append)
                .setTruncate(!append)
                .setCreate(create)
                .setCreateNew(createNew)
                .setMode(create || createNew ? context.umask().file(mode) : 0)
                .build(),
            content,
            input);
      }
      if (old.isEmpty() && !create) {
        throw new SdkError("NotFound", "ENOENT", path + " is not there");
      }
      WriteFileTarget.Builder target = WriteFileTarget.newBuilder().setPath(path);
      if (mode.isPresent()) {
        // Whatever the mask: Deno changes the mode once the file is there.
        target.setMode(Umask.named(mode.get()));
      } else if (old.isPresent()) {
        // The API makes a new file in the place of the old one, which the SDKs overwrite.
        target.setMode(old.get().getMode());
      } else {
        target.setMode(context.umask().file(mode));
      }
      return write(target.build(), content, input);
    } finally {
      input.ifPresent(Input::close);
    }
  }

  /** What a new file cannot take the place of: a link, and a mode that the API has no word for. */
  private static boolean writtenInto(FileInfo old) {
    return old.getType() == FileType.FILE_TYPE_SYMLINK || old.getMode() == 0;
  }

  /** Into the file itself: what came before a failure stays. */
  private JsonNode writeInto(OpenFileTarget target, Optional<byte[]> content, Optional<Input> input)
      throws CallError, SdkError, StatusException, InterruptedException {
    try (OpenFile file = OpenFile.open(context, target)) {
      if (input.isPresent()) {
        Input from = input.get();
        for (Optional<ByteString> part = from.next(); part.isPresent(); part = from.next()) {
          file.write(part.get());
        }
      } else {
        file.write(needed(content));
      }
      return NullNode.getInstance();
    } catch (InputFailedException e) {
      throw broken(e);
    }
  }

  private static ByteString needed(Optional<byte[]> content) throws CallError {
    return ByteString.copyFrom(content.orElseThrow(() -> CallError.parameter("content", "string")));
  }

  private static SdkError broken(InputFailedException failed) {
    return new SdkError("Error", "EIO", "the content's stream: " + failed.getMessage());
  }

  /** What the path itself names; empty where nothing is. */
  private Optional<FileInfo> old(String path) throws StatusException {
    try {
      return Optional.of(
          context
              .tenant()
              .files()
              .statFile(
                  StatFileRequest.newBuilder()
                      .setSandbox(context.sandbox())
                      .setPath(path)
                      .build()));
    } catch (StatusException e) {
      if (SdkError.of(e).code().equals("ENOENT")) {
        return Optional.empty();
      }
      throw e;
    }
  }

  private JsonNode write(WriteFileTarget target, Optional<byte[]> content, Optional<Input> input)
      throws CallError, SdkError, StatusException, InterruptedException {
    TwoWayCall<WriteFileRequest, WriteFileResponse> call = context.tenant().writeFile();
    try {
      var _ =
          call.write(
              WriteFileRequest.newBuilder()
                  .setSandbox(context.sandbox())
                  .setTarget(target)
                  .build());
      if (input.isPresent()) {
        Input from = input.get();
        for (Optional<ByteString> part = from.next(); part.isPresent(); part = from.next()) {
          send(call, part.get());
        }
      } else {
        send(call, needed(content));
      }
      call.halfClose();
      if (call.read().isEmpty()) {
        throw new SdkError("Error", "UNAVAILABLE", "the sandbox did not confirm the file");
      }
      return NullNode.getInstance();
    } catch (InputFailedException e) {
      throw broken(e);
    } finally {
      call.cancel("done");
    }
  }

  private static void send(TwoWayCall<WriteFileRequest, ?> call, ByteString data)
      throws StatusException, InterruptedException {
    for (int from = 0; from < data.size(); from += GuestFiles.CHUNK) {
      ByteString part = data.substring(from, Math.min(data.size(), from + GuestFiles.CHUNK));
      if (!call.write(WriteFileRequest.newBuilder().setData(part).build())) {
        // The answer tells why.
        return;
      }
    }
  }

  private JsonNode readDir(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    ListDirectoryRequest.Builder request =
        ListDirectoryRequest.newBuilder()
            .setSandbox(context.sandbox())
            .setPath(GuestFiles.path(params, "path"));
    ArrayNode entries = JsonNodeFactory.instance.arrayNode();
    do {
      ListDirectoryResponse page = context.tenant().files().listDirectory(request.build());
      for (FileInfo info : page.getEntriesList()) {
        entries
            .addObject()
            .put("name", info.getPath().substring(info.getPath().lastIndexOf('/') + 1))
            .put("isFile", info.getType() == FileType.FILE_TYPE_REGULAR)
            .put("isDirectory", info.getType() == FileType.FILE_TYPE_DIRECTORY)
            .put("isSymlink", info.getType() == FileType.FILE_TYPE_SYMLINK);
      }
      request.setPageToken(page.getNextPageToken());
    } while (!request.getPageToken().isEmpty());
    return entries;
  }

  private JsonNode mkdir(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    Params options = params.object("options");
    var _ =
        context
            .tenant()
            .files()
            .makeDirectory(
                MakeDirectoryRequest.newBuilder()
                    .setSandbox(context.sandbox())
                    .setPath(GuestFiles.path(params, "path"))
                    .setMode(context.umask().directory(options.optionalNumber("mode")))
                    .setMakeParents(options.flag("recursive", false))
                    .build());
    return NullNode.getInstance();
  }

  private JsonNode remove(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    var _ =
        context
            .tenant()
            .files()
            .removeFile(
                RemoveFileRequest.newBuilder()
                    .setSandbox(context.sandbox())
                    .setPath(GuestFiles.path(params, "path"))
                    .setRecursive(params.object("options").flag("recursive", false))
                    .build());
    return NullNode.getInstance();
  }

  private JsonNode rename(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    var _ =
        context
            .tenant()
            .files()
            .moveFile(
                MoveFileRequest.newBuilder()
                    .setSandbox(context.sandbox())
                    .setSource(GuestFiles.path(params, "oldPath"))
                    .setDestination(GuestFiles.path(params, "newPath"))
                    .setReplace(true)
                    .build());
    return NullNode.getInstance();
  }
}
