package dev.cofferdam.edge.process;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.Json;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.edge.protocol.SdkError;
import dev.cofferdam.edge.session.Method;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.v1.RemoveFileRequest;
import io.grpc.Context;
import io.grpc.StatusException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.LongConsumer;

/**
 * The Deno runtime in the guest: {@code spawnDeno}, {@code denoHttpWait} and the REPL. Each is a
 * process as others are.
 */
final class DenoMethods {
  private static final Set<String> EXTENSIONS =
      Set.of("js", "cjs", "mjs", "ts", "cts", "mts", "jsx", "tsx");

  private static final String REPL = GuestScripts.text("repl.mjs");

  private final SessionContext context;
  private final ProcessMethods processes;
  private final DenoProgram program;
  private final Map<Long, Repl> repls = new ConcurrentHashMap<>();

  DenoMethods(SessionContext context, ProcessMethods processes, DenoProgram program) {
    this.context = context;
    this.processes = processes;
    this.program = program;
  }

  Map<String, Method> methods() {
    return Map.of(
        "spawnDeno", this::spawnDeno,
        "denoHttpWait", this::httpWait,
        "spawnDenoRepl", this::spawnRepl,
        "denoReplEval", this::eval,
        "denoReplCall", this::call,
        "denoReplClose", this::closeRepl);
  }

  private JsonNode spawnDeno(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    if (params.flagOrTexts("watch")) {
      throw SdkError.notServed("a Deno process that watches its files");
    }
    Optional<String> code = params.optionalText("code");
    String path;
    if (code.isPresent()) {
      String extension = params.optionalText("extension").orElse("ts");
      if (!EXTENSIONS.contains(extension)) {
        throw CallError.parameter("extension", "one of " + EXTENSIONS);
      }
      path = GuestScripts.write(context, code.get(), "." + extension);
    } else {
      String entrypoint = params.text("entrypoint");
      path = entrypoint.startsWith("-") ? "./" + entrypoint : entrypoint;
    }
    int port = Listening.port(context);
    JsonNode spawned =
        run(
            params,
            path,
            code.isPresent(),
            "DENO_SERVE_ADDRESS",
            "duplicate,tcp:127.0.0.1:" + port,
            pid -> context.servers().put(pid, port));
    return ((ObjectNode) spawned).putNull("watcherId");
  }

  private JsonNode spawnRepl(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    int port = Listening.port(context);
    String path = GuestScripts.write(context, REPL, ".mjs");
    return run(
        params,
        path,
        true,
        "DENO_REPL_PORT",
        Integer.toString(port),
        pid -> repls.put(pid, new Repl(context, port)));
  }

  /**
   * @param ours whether the script is the edge's, which takes it away again
   * @param known keeps what is to be known of the process until its end
   */
  private JsonNode run(
      Params params, String script, boolean ours, String name, String value, LongConsumer known)
      throws CallError, SdkError, StatusException, InterruptedException {
    boolean begun = false;
    try {
      ObjectNode spawn = Json.object().put("command", program.in(context));
      ArrayNode args = spawn.putArray("args").add("run").add("--allow-all");
      params.texts("args").forEach(args::add);
      args.add(script);
      params.texts("scriptArgs").forEach(args::add);
      ObjectNode env = spawn.putObject("env").put("DENO_NO_UPDATE_CHECK", "1").put(name, value);
      params.textMap("env").forEach(env::put);
      for (String same : List.of("clearEnv", "cwd", "stdinStreamId", "stdout", "stderr")) {
        params.copy(same, spawn);
      }
      JsonNode spawned = processes.spawn(new Params(spawn));
      begun = true;
      long pid = spawned.path("pid").asLong();
      // Before its end can come, which takes that away.
      known.accept(pid);
      processes
          .started(pid)
          .orElseThrow(() -> SdkError.processGone(pid))
          .over()
          .whenComplete((_, _) -> ended(pid, ours, script));
      return spawned;
    } finally {
      if (!begun && ours) {
        remove(script);
      }
    }
  }

  private void ended(long pid, boolean ours, String script) {
    context.servers().remove(pid);
    Repl repl = repls.remove(pid);
    if (repl != null) {
      repl.close();
    }
    if (ours) {
      context.executor().execute(Context.ROOT.wrap(() -> remove(script)));
    }
  }

  /** As well as can be: its sandbox may have ended. */
  private void remove(String script) {
    try {
      var _ =
          context
              .tenant()
              .files()
              .removeFile(
                  RemoveFileRequest.newBuilder()
                      .setSandbox(context.sandbox())
                      .setPath(script)
                      .build());
    } catch (StatusException e) {
      // A file of /tmp stays.
    }
  }

  /** True once something listens, false where the process ends before. */
  private JsonNode httpWait(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    long pid = params.number("pid");
    Optional<Running> started = processes.started(pid);
    if (started.isEmpty()) {
      return BooleanNode.FALSE;
    }
    Running process = started.get();
    Integer port = context.servers().get(pid);
    if (port == null) {
      // A REPL serves nothing: the answer is its end's.
      return BooleanNode.valueOf(!process.ended(Long.MAX_VALUE));
    }
    return BooleanNode.valueOf(Listening.await(context, process, port));
  }

  private JsonNode eval(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    return ask(params, Json.object().put("code", params.text("code")));
  }

  private JsonNode call(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    ObjectNode question = Json.object().put("fn", params.text("fn"));
    ArrayNode args = question.putArray("args");
    params.array("args").forEach(args::add);
    return ask(params, question);
  }

  private JsonNode ask(Params params, ObjectNode question)
      throws CallError, SdkError, StatusException, InterruptedException {
    long pid = params.number("pid");
    Repl repl = repls.get(pid);
    Optional<Running> process = processes.started(pid);
    if (repl == null || process.isEmpty()) {
      throw SdkError.processGone(pid);
    }
    return repl.ask(question, pid, process.get());
  }

  private JsonNode closeRepl(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    long pid = params.number("pid");
    Repl repl = repls.remove(pid);
    if (repl == null) {
      throw SdkError.processGone(pid);
    }
    repl.close();
    processes.signal(pid, ProcessMethods.SIGTERM);
    return NullNode.getInstance();
  }
}
