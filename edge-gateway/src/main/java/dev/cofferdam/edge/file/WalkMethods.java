package dev.cofferdam.edge.file;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import com.google.protobuf.ByteString;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.Json;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.edge.protocol.SdkError;
import dev.cofferdam.edge.session.GuestPath;
import dev.cofferdam.edge.session.Method;
import dev.cofferdam.edge.session.OutputStreams.Output;
import dev.cofferdam.edge.session.SessionClosedException;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.FileType;
import dev.cofferdam.v1.WalkDirectoryRequest;
import dev.cofferdam.v1.WalkDirectoryResponse;
import dev.cofferdam.v1.WalkedFile;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * {@code walk} and {@code expandGlob}. The guest finds and compares: a client's expressions cost
 * its own sandbox time.
 */
public final class WalkMethods implements SessionContext.Part {
  private final SessionContext context;

  public WalkMethods(SessionContext context) {
    this.context = context;
  }

  @Override
  public Map<String, Method> methods() {
    return Map.of("walk", this::walk, "expandGlob", this::expandGlob);
  }

  /**
   * Which of what is found is wanted.
   *
   * @param suffixes of a path; any where there are none
   * @param pathsAlone whether a list is of paths
   */
  private record Wanted(
      boolean files,
      boolean directories,
      boolean links,
      List<String> suffixes,
      boolean pathsAlone) {
    static Wanted of(Params options) throws CallError {
      List<String> suffixes = new ArrayList<>();
      for (String suffix : options.texts("exts")) {
        suffixes.add(suffix.startsWith(".") ? suffix : "." + suffix);
      }
      return new Wanted(
          options.flag("includeFiles", true),
          options.flag("includeDirs", true),
          options.flag("includeSymlinks", true),
          suffixes,
          false);
    }

    boolean holds(WalkedFile file) {
      boolean type =
          switch (file.getType()) {
            case FILE_TYPE_DIRECTORY -> directories;
            case FILE_TYPE_SYMLINK -> links;
            default -> files;
          };
      return type && (suffixes.isEmpty() || suffixes.stream().anyMatch(file.getPath()::endsWith));
    }
  }

  private JsonNode walk(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    Params options = context.peer().python() ? params.object("options") : params;
    if (options.flag("followSymlinks", false)) {
      throw SdkError.notServed("followSymlinks");
    }
    Wanted wanted = Wanted.of(options);
    WalkDirectoryRequest.Builder request =
        WalkDirectoryRequest.newBuilder()
            .setSandbox(context.sandbox())
            .setPath(GuestFiles.path(params, "path"))
            .addAllMatch(expressions(options, "match"))
            .addAllSkip(expressions(options, "skip"));
    Optional<Long> depth = options.optionalNumber("maxDepth");
    if (depth.isPresent()) {
      request.setMaxDepth(Math.clamp(depth.get(), 0, Integer.MAX_VALUE));
    }
    return find(request.build(), wanted);
  }

  private JsonNode expandGlob(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    Params options = context.peer().python() ? params.object("options") : params;
    if (options.flag("followSymlinks", false)) {
      throw SdkError.notServed("followSymlinks");
    }
    String root = GuestPath.absolute(options.optionalText("root").orElse(""));
    Glob.Syntax syntax =
        new Glob.Syntax(
            options.flag("extended", true),
            options.flag("globstar", true),
            options.flag("caseInsensitive", false));
    Glob glob = Glob.of(from(root, params.text("glob")), syntax);
    WalkDirectoryRequest.Builder request =
        WalkDirectoryRequest.newBuilder()
            .setSandbox(context.sandbox())
            .setPath(glob.directory())
            .addMatch(glob.expression());
    for (String exclude : options.texts("exclude")) {
      request.addSkip(Glob.of(from(root, exclude), syntax).expression());
    }
    glob.depth().ifPresent(request::setMaxDepth);
    boolean directoriesAlone = glob.directoriesAlone();
    try {
      return find(
          request.build(),
          new Wanted(
              !directoriesAlone,
              options.flag("includeDirs", true),
              !directoriesAlone,
              List.of(),
              true));
    } catch (StatusException e) {
      Optional<ErrorReason> reason = Refusals.reason(e);
      if (reason.equals(Optional.of(ErrorReason.ERROR_REASON_FILE_NOT_FOUND))
          || reason.equals(Optional.of(ErrorReason.ERROR_REASON_NOT_A_DIRECTORY))) {
        return none();
      }
      throw e;
    }
  }

  private static String from(String root, String glob) {
    return glob.startsWith("/") ? glob : root + "/" + glob;
  }

  private JsonNode none() {
    if (context.peer().python()) {
      return JsonNodeFactory.instance.arrayNode();
    }
    Output output = context.outputs().create();
    context.executor().execute(() -> end(output));
    return Json.object().put("streamId", output.id());
  }

  private static void end(Output output) {
    try {
      output.end();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (SessionClosedException e) {
      // Nobody waits for it.
    }
  }

  private JsonNode find(WalkDirectoryRequest request, Wanted wanted)
      throws SdkError, StatusException, InterruptedException {
    BlockingClientCall<?, WalkDirectoryResponse> call =
        context.tenant().largeFiles().walkDirectory(request);
    boolean handedOver = false;
    try {
      // A directory that is not there is a failure of the call, not of its stream.
      Optional<WalkDirectoryResponse> first = Optional.ofNullable(call.read());
      if (context.peer().python()) {
        return list(call, first, wanted);
      }
      Output output = context.outputs().create();
      context.executor().execute(() -> send(call, first, wanted, output));
      handedOver = true;
      return Json.object().put("streamId", output.id());
    } finally {
      if (!handedOver) {
        call.cancel("done", null);
      }
    }
  }

  private ArrayNode list(
      BlockingClientCall<?, WalkDirectoryResponse> call,
      Optional<WalkDirectoryResponse> first,
      Wanted wanted)
      throws SdkError, StatusException, InterruptedException {
    ArrayNode entries = JsonNodeFactory.instance.arrayNode();
    long size = 0;
    for (Optional<WalkDirectoryResponse> part = first;
        part.isPresent();
        part = Optional.ofNullable(call.read())) {
      for (WalkedFile file : part.get().getFilesList()) {
        if (wanted.holds(file)) {
          JsonNode entry = wanted.pathsAlone() ? TextNode.valueOf(file.getPath()) : entry(file);
          entries.add(entry);
          size += entry.toString().length();
        }
      }
      if (size > context.peer().messageBytes()) {
        throw new SdkError(
            "RangeError", "EFBIG", "more was found than this SDK takes in one message");
      }
    }
    return entries;
  }

  private static void send(
      BlockingClientCall<?, WalkDirectoryResponse> call,
      Optional<WalkDirectoryResponse> first,
      Wanted wanted,
      Output output) {
    try {
      try {
        for (Optional<WalkDirectoryResponse> part = first;
            part.isPresent() && !output.cancelled();
            part = Optional.ofNullable(call.read())) {
          for (WalkedFile file : part.get().getFilesList()) {
            if (wanted.holds(file)) {
              output.write(ByteString.copyFromUtf8(entry(file).toString()));
            }
          }
        }
        output.end();
      } catch (StatusException e) {
        output.fail(String.valueOf(SdkError.of(e).getMessage()));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (SessionClosedException e) {
      // Nobody waits for the rest.
    } finally {
      call.cancel("done", null);
    }
  }

  private static ObjectNode entry(WalkedFile file) {
    String path = file.getPath();
    return Json.object()
        .put("path", path)
        .put("name", path.substring(path.lastIndexOf('/') + 1))
        .put("isFile", file.getType() == FileType.FILE_TYPE_REGULAR)
        .put("isDirectory", file.getType() == FileType.FILE_TYPE_DIRECTORY)
        .put("isSymlink", file.getType() == FileType.FILE_TYPE_SYMLINK);
  }

  /** JavaScript's, as RE2 has them. What RE2 does not know, the guest refuses. */
  private static List<String> expressions(Params options, String name) throws CallError, SdkError {
    List<String> expressions = new ArrayList<>();
    for (Params each : options.objects(name)) {
      StringBuilder flags = new StringBuilder();
      for (char flag : each.optionalText("flags").orElse("").toCharArray()) {
        switch (flag) {
          case 'i', 'm', 's' -> flags.append(flag);
          case 'd', 'g', 'u' -> {
            // Of what is found and where, or of what RE2 does anyway.
          }
          default -> throw SdkError.notServed("an expression with the flag " + flag);
        }
      }
      String prefix = flags.isEmpty() ? "" : "(?" + flags + ")";
      expressions.add(prefix + each.text("source"));
    }
    return expressions;
  }
}
