package dev.cofferdam.edge.process;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.Json;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.edge.protocol.SdkError;
import dev.cofferdam.edge.session.GuestPath;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.v1.FileInfo;
import dev.cofferdam.v1.FileType;
import dev.cofferdam.v1.StatFileRequest;
import io.grpc.Context;
import io.grpc.StatusException;
import java.util.List;
import java.util.Map;

/** {@code vscode}: the code-server of the sandbox's template, as a process like others. */
final class VscodeMethods {
  private static final List<String> PLACES =
      List.of("/usr/local/bin/code-server", "/usr/bin/code-server", "/root/.local/bin/code-server");

  /** The SDK sends its caller's token so, for what a program in a sandbox has no business with. */
  private static final String TOKEN = "DENO_DEPLOY_SANDBOX_TOKEN";

  private static final int SIGKILL = 9;
  private static final String SCRIPT = GuestScripts.text("vscode.sh");

  private final SessionContext context;
  private final ProcessMethods processes;

  VscodeMethods(SessionContext context, ProcessMethods processes) {
    this.context = context;
    this.processes = processes;
  }

  /** Answers once it listens. */
  JsonNode vscode(Params params) throws CallError, SdkError, StatusException, InterruptedException {
    if (params.optionalText("preview").isPresent()) {
      throw SdkError.notServed("a preview in VS Code");
    }
    // There is no such button.
    var _ = params.optionalFlag("disableStopButton");
    int port = Listening.port(context);
    ObjectNode spawn = spawn(params, program(), directory(params), port);
    JsonNode spawned = processes.spawn(new Params(spawn));
    long pid = spawned.path("pid").asLong();
    boolean serves = false;
    try {
      Running process = processes.started(pid).orElseThrow(() -> SdkError.processGone(pid));
      // Its end is known by its output's, which this SDK keeps until it is told whose it is.
      var _ = process.wanted();
      serves = Listening.await(context, process, port);
      if (!serves) {
        throw new SdkError(
            "Error", "ERR_VSCODE", "code-server ended before it listened, or an extension failed");
      }
      return ((ObjectNode) spawned).put("port", port);
    } finally {
      if (!serves) {
        context.executor().execute(Context.ROOT.wrap(() -> kill(pid)));
      }
    }
  }

  private static ObjectNode spawn(Params params, String program, String directory, int port)
      throws CallError {
    ObjectNode spawn = Json.object().put("command", "/bin/sh").put("cwd", directory);
    JsonNode settings = params.object("editorSettings").json();
    ArrayNode args =
        spawn
            .putArray("args")
            .add("-c")
            .add(SCRIPT)
            .add(program)
            .add(settings.isEmpty() ? "" : settings.toString())
            .add(Integer.toString(port))
            .add(directory);
    params.texts("extensions").forEach(args::add);
    ObjectNode env = spawn.putObject("env");
    for (Map.Entry<String, String> variable : params.textMap("env").entrySet()) {
      if (!variable.getKey().equals(TOKEN)) {
        env.put(variable.getKey(), variable.getValue());
      }
    }
    return spawn.put("stdout", "piped").put("stderr", "piped");
  }

  private String program() throws SdkError, StatusException {
    for (String place : PLACES) {
      if (DenoProgram.isThere(context, place)) {
        return place;
      }
    }
    throw new SdkError(
        "NotSupported",
        "NOT_SERVED",
        "this sandbox's template has no code-server, expected npm's code-server and its node at one"
            + " of "
            + PLACES);
  }

  private String directory(Params params) throws CallError, SdkError, StatusException {
    String path = GuestPath.absolute(params.text("path"));
    FileInfo found =
        context
            .tenant()
            .files()
            .statFile(
                StatFileRequest.newBuilder()
                    .setSandbox(context.sandbox())
                    .setPath(path)
                    .setFollow(true)
                    .build());
    if (found.getType() != FileType.FILE_TYPE_DIRECTORY) {
      throw new SdkError("NotADirectory", "ENOTDIR", path + " is no directory");
    }
    return path;
  }

  /** As well as can be: its sandbox may have ended. */
  private void kill(long pid) {
    try {
      processes.signal(pid, SIGKILL);
    } catch (SdkError | StatusException e) {
      // It has ended, or ends with its sandbox.
    }
  }
}
