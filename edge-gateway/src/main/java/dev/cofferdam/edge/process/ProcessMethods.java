package dev.cofferdam.edge.process;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.TextNode;
import com.google.common.base.Splitter;
import com.google.protobuf.ByteString;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.Json;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.edge.protocol.SdkError;
import dev.cofferdam.edge.session.GuestPath;
import dev.cofferdam.edge.session.InputStreams.Input;
import dev.cofferdam.edge.session.Method;
import dev.cofferdam.edge.session.OutputStreams.Output;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.kit.client.TwoWayCall;
import dev.cofferdam.kit.error.Refusals;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.ListProcessesRequest;
import dev.cofferdam.v1.ProcessEvent;
import dev.cofferdam.v1.ProcessExited;
import dev.cofferdam.v1.ProcessInfo;
import dev.cofferdam.v1.ProcessSpec;
import dev.cofferdam.v1.SignalProcessRequest;
import dev.cofferdam.v1.StartProcessRequest;
import io.grpc.StatusException;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;

/** {@code spawn}, {@code processWait}, {@code processKill} and {@code env…}. */
public final class ProcessMethods implements SessionContext.Part {
  static final int SIGTERM = 15;

  /** As a shell counts it. */
  private static final int BY_SIGNAL = 128;

  private final SessionContext context;
  private final Environment environment = new Environment();
  private final Map<Long, Running> running = new ConcurrentHashMap<>();
  private final DenoMethods deno;
  private final VscodeMethods vscode;

  /**
   * @param deno the program that sandboxes without one get; empty: none
   */
  public ProcessMethods(SessionContext context, Optional<Path> deno) {
    this.context = context;
    this.deno = new DenoMethods(context, this, new DenoProgram(deno));
    this.vscode = new VscodeMethods(context, this);
  }

  @Override
  public Map<String, Method> methods() {
    Map<String, Method> methods = new HashMap<>(deno.methods());
    methods.putAll(
        Map.of(
            "spawn", this::spawn,
            "processWait", this::processWait,
            "processKill", this::processKill,
            "vscode", vscode::vscode,
            "envGet", this::envGet,
            "envSet", this::envSet,
            "envDelete", this::envDelete,
            "envToObject", _ -> json(variables())));
    return methods;
  }

  JsonNode spawn(Params params) throws CallError, SdkError, StatusException, InterruptedException {
    ProcessSpec spec = spec(params);
    Optional<Long> stdin = params.optionalNumber("stdinStreamId");
    boolean stdout = piped(params, "stdout");
    boolean stderr = piped(params, "stderr");
    Optional<Input> input =
        stdin.isPresent() ? Optional.of(context.inputs().take(stdin.get())) : Optional.empty();
    Optional<Output> out = output(stdout);
    Optional<Output> err = output(stderr);
    boolean begun = false;
    try {
      TwoWayCall<StartProcessRequest, ProcessEvent> call = context.tenant().startProcess();
      try {
        Running process = Running.start(call, context.sandbox(), spec, input.isPresent(), out, err);
        running.put(process.pid(), process);
        if (input.isPresent()) {
          // The process shall not wait for what will never come.
          Stdin toProcess = process.stdin();
          context.executor().execute(() -> toProcess.feed(input.get(), toProcess::close));
        }
        context.executor().execute(process::follow);
        begun = true;
        ObjectNode answer = Json.object().put("pid", process.pid());
        put(answer, "stdoutStreamId", out);
        put(answer, "stderrStreamId", err);
        return answer;
      } finally {
        if (!begun) {
          call.cancel("not started");
        }
      }
    } finally {
      if (!begun) {
        out.ifPresent(Output::discard);
        err.ifPresent(Output::discard);
        input.ifPresent(Input::close);
      }
    }
  }

  /** Empty where its end was waited for, or where it is no process of this session's. */
  Optional<Running> started(long pid) {
    return Optional.ofNullable(running.get(pid));
  }

  private Optional<Output> output(boolean piped) {
    return piped ? Optional.of(context.outputs().create()) : Optional.empty();
  }

  private static void put(ObjectNode answer, String name, Optional<Output> output) {
    if (output.isPresent()) {
      answer.put(name, output.get().id());
    } else {
      answer.putNull(name);
    }
  }

  private static boolean piped(Params params, String name) throws CallError {
    return switch (params.optionalText(name).orElse("piped")) {
      case "piped" -> true;
      case "null" -> false;
      default -> throw CallError.parameter(name, "\"piped\"|\"null\"");
    };
  }

  private ProcessSpec spec(Params params) throws CallError {
    Map<String, String> env = params.textMap("env");
    List<String> words = new ArrayList<>();
    ProcessSpec.Builder spec = ProcessSpec.newBuilder();
    if (params.flag("clearEnv", false)) {
      // The API adds to the sandbox's environment and takes nothing from it.
      words.addAll(List.of("/usr/bin/env", "-i", "--"));
      env.forEach((name, value) -> words.add(name + "=" + value));
    } else {
      spec.putAllEnv(environment.over(Map.of())).putAllEnv(env);
      List<String> deleted =
          environment.deleted().stream().filter(name -> !env.containsKey(name)).toList();
      if (!deleted.isEmpty()) {
        words.add("/usr/bin/env");
        deleted.forEach(name -> words.addAll(List.of("-u", name)));
        words.add("--");
      }
    }
    String command = params.text("command");
    if (!words.isEmpty() && command.indexOf('=') >= 0) {
      // env(1) would take it for one more variable.
      throw CallError.parameter("command", "no = in it, with clearEnv or a deleted variable");
    }
    words.add(command);
    words.addAll(params.texts("args"));
    params.optionalText("cwd").map(GuestPath::absolute).ifPresent(spec::setWorkingDirectory);
    return spec.addAllArgv(words).build();
  }

  private JsonNode processWait(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    long pid = params.number("pid");
    Running process = running.get(pid);
    if (process == null) {
      throw SdkError.processGone(pid);
    }
    try {
      ProcessExited exited = process.wanted().get();
      running.remove(pid, process);
      return status(exited);
    } catch (ExecutionException e) {
      running.remove(pid, process);
      if (e.getCause() instanceof StatusException status) {
        throw status;
      }
      throw new SdkError("Error", "UNAVAILABLE", "the process's end is not known");
    }
  }

  private static JsonNode status(ProcessExited exited) {
    int signal = exited.getSignal();
    ObjectNode status =
        Json.object()
            .put("success", signal == 0 && exited.getExitCode() == 0)
            .put("code", signal == 0 ? exited.getExitCode() : BY_SIGNAL + signal);
    if (signal == 0) {
      status.putNull("signal");
    } else {
      status.put("signal", Signals.name(signal));
    }
    return status.putNull("oom");
  }

  private JsonNode processKill(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    long pid = params.number("pid");
    Optional<String> name = params.optionalText("signal");
    int signal = SIGTERM;
    if (name.isPresent()) {
      signal =
          Signals.number(name.get())
              .orElseThrow(() -> CallError.parameter("signal", "a signal's name as SIGTERM"));
    }
    signal(pid, signal);
    return NullNode.getInstance();
  }

  void signal(long pid, int signal) throws SdkError, StatusException {
    Running process = running.get(pid);
    if (process != null && process.exited()) {
      throw SdkError.processGone(pid);
    }
    try {
      var _ =
          context
              .tenant()
              .processes()
              .signalProcess(
                  SignalProcessRequest.newBuilder()
                      .setSandbox(context.sandbox())
                      .setProcess(process != null ? process.process() : other(pid))
                      .setSignal(signal)
                      .build());
    } catch (StatusException e) {
      if (Refusals.reason(e).equals(Optional.of(ErrorReason.ERROR_REASON_PROCESS_NOT_FOUND))) {
        throw SdkError.processGone(pid);
      }
      throw e;
    }
  }

  /** One that another session started. */
  private String other(long pid) throws SdkError, StatusException {
    return context
        .tenant()
        .processes()
        .listProcesses(ListProcessesRequest.newBuilder().setSandbox(context.sandbox()).build())
        .getProcessesList()
        .stream()
        .filter(process -> process.getPid() == pid && !process.hasExited())
        .map(ProcessInfo::getProcess)
        .findFirst()
        .orElseThrow(() -> SdkError.processGone(pid));
  }

  private JsonNode envGet(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    String value = variables().get(params.text("key"));
    return value == null ? NullNode.getInstance() : TextNode.valueOf(value);
  }

  private JsonNode envSet(Params params) throws CallError {
    environment.set(variable(params), params.text("value"));
    return NullNode.getInstance();
  }

  private JsonNode envDelete(Params params) throws CallError {
    environment.delete(variable(params));
    return NullNode.getInstance();
  }

  private static String variable(Params params) throws CallError {
    String name = params.text("key");
    if (!name.matches("[A-Za-z_][A-Za-z0-9_]{0,127}")) {
      throw CallError.parameter("key", "a variable's name, [A-Za-z_][A-Za-z0-9_]{0,127}");
    }
    return name;
  }

  private static JsonNode json(Map<String, String> variables) {
    ObjectNode object = Json.object();
    variables.forEach(object::put);
    return object;
  }

  /** Asked of the sandbox each time: another session, or the mesh, may have changed it. */
  private Map<String, String> variables() throws SdkError, StatusException, InterruptedException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    TwoWayCall<StartProcessRequest, ProcessEvent> call = context.tenant().startProcess();
    try {
      var _ =
          call.write(
              StartProcessRequest.newBuilder()
                  .setSandbox(context.sandbox())
                  .setSpec(ProcessSpec.newBuilder().addAllArgv(List.of("/usr/bin/env", "-0")))
                  .build());
      for (Optional<ProcessEvent> next = call.read(); next.isPresent(); next = call.read()) {
        ProcessEvent event = next.get();
        if (event.hasStdout()) {
          event.getStdout().getData().writeTo(out);
        } else if (event.hasExited()) {
          return environment.over(parse(ByteString.copyFrom(out.toByteArray())));
        }
      }
    } catch (java.io.IOException e) {
      throw new IllegalStateException("memory takes every write", e);
    } finally {
      call.cancel("done");
    }
    throw new SdkError("Error", "UNAVAILABLE", "the sandbox did not tell its environment");
  }

  private static Map<String, String> parse(ByteString output) {
    Map<String, String> variables = new LinkedHashMap<>();
    for (String entry : Splitter.on('\0').split(output.toString(StandardCharsets.UTF_8))) {
      int equals = entry.indexOf('=');
      if (equals > 0) {
        variables.put(entry.substring(0, equals), entry.substring(equals + 1));
      }
    }
    return variables;
  }
}
