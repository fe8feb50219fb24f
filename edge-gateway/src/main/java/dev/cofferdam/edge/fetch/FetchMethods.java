package dev.cofferdam.edge.fetch;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.Json;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.edge.protocol.SdkError;
import dev.cofferdam.edge.session.Aborts;
import dev.cofferdam.edge.session.InputStreams.Input;
import dev.cofferdam.edge.session.Method;
import dev.cofferdam.edge.session.OutputStreams.Output;
import dev.cofferdam.edge.session.SessionContext;
import io.grpc.StatusException;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Semaphore;

/** {@code fetch}: each hop of it is a process of the sandbox's. */
public final class FetchMethods implements SessionContext.Part {
  /** Of one session, from its request to its body's end. */
  static final int AT_A_TIME = 128;

  /** As fetch has it. */
  private static final int REDIRECTS = 20;

  private final SessionContext context;
  private final Semaphore room = new Semaphore(AT_A_TIME);

  public FetchMethods(SessionContext context) {
    this.context = context;
  }

  @Override
  public Map<String, Method> methods() {
    return Map.of("fetch", this::fetch);
  }

  private JsonNode fetch(Params params)
      throws CallError, SdkError, StatusException, InterruptedException {
    FetchRequest request = FetchRequest.of(params, server(params));
    Optional<Long> stream = params.optionalNumber("bodyStreamId");
    Optional<Long> abortId = params.optionalNumber("abortId");
    Optional<Input> body =
        stream.isPresent() ? Optional.of(context.inputs().take(stream.get())) : Optional.empty();
    boolean begun = false;
    Output output = context.outputs().create();
    try {
      if (!room.tryAcquire()) {
        throw new SdkError(
            "Busy", "EAGAIN", "over %d requests go on in this session".formatted(AT_A_TIME));
      }
      try {
        JsonNode answer = answer(request, body, output, abortId);
        begun = answer.path("bodyStreamId").isNumber();
        return answer;
      } finally {
        if (!begun) {
          room.release();
        }
      }
    } finally {
      if (!begun) {
        output.discard();
        body.ifPresent(Input::close);
      }
    }
  }

  /** The port of the Deno process that a request is for; 0: it is for its address's host. */
  private int server(Params params) throws CallError, SdkError {
    Optional<Long> pid = params.optionalNumber("pid");
    if (pid.isEmpty()) {
      return 0;
    }
    Integer port = context.servers().get(pid.get());
    if (port == null) {
      throw SdkError.processGone(pid.get());
    }
    return port;
  }

  private JsonNode answer(
      FetchRequest first, Optional<Input> body, Output output, Optional<Long> abortId)
      throws SdkError, StatusException, InterruptedException {
    FetchRequest request = first;
    for (int hop = 0; hop <= REDIRECTS; hop++) {
      String process = "fetch-%d-%d".formatted(output.id(), hop);
      Curl curl = Curl.start(context, process, request, hop == 0 ? body : Optional.empty());
      boolean handedOver = false;
      try {
        Head head = curl.head();
        Optional<FetchRequest> next = request.after(head);
        if (next.isEmpty()) {
          ObjectNode answer = json(head);
          // The Python SDK has no way to read a body.
          if (context.peer().python() || head.withoutBody() || request.method().equals("HEAD")) {
            return answer.putNull("bodyStreamId");
          }
          Optional<Aborts.Registration> abortable =
              abortId.map(id -> context.aborts().on(id, curl::close));
          if (Thread.currentThread().isInterrupted()) {
            // Aborted before that: nobody would take the body.
            abortable.ifPresent(Aborts.Registration::close);
            throw new InterruptedException("aborted");
          }
          handedOver = true;
          context.executor().execute(() -> copy(curl, output, abortable));
          return answer.put("bodyStreamId", output.id());
        }
        request = next.get();
      } finally {
        if (!handedOver) {
          curl.close();
        }
      }
    }
    throw FetchRequest.failed("ERR_FETCH", "over %d redirects".formatted(REDIRECTS));
  }

  private void copy(Curl curl, Output output, Optional<Aborts.Registration> abortable) {
    try {
      curl.copy(output);
    } finally {
      abortable.ifPresent(Aborts.Registration::close);
      room.release();
    }
  }

  private static ObjectNode json(Head head) {
    ObjectNode answer = Json.object().put("status", head.status()).put("statusText", head.reason());
    ArrayNode headers = answer.putArray("headers");
    for (FetchRequest.Header header : head.headers()) {
      headers.addArray().add(header.name()).add(header.value());
    }
    return answer;
  }
}
