package dev.cofferdam.edge.protocol;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;

/** The call could not be made: JSON-RPC's own error object. */
public final class CallError extends Exception {
  private static final long serialVersionUID = 1L;

  private final int code;
  private final transient ObjectNode data;

  private CallError(int code, String message, ObjectNode data) {
    super(message);
    this.code = code;
    this.data = data;
  }

  /** The message is what the Python SDK knows it by. */
  public static CallError methodNotFound(String method) {
    return new CallError(-32601, "Method not found", Json.object().put("method", method));
  }

  public static CallError internal() {
    return new CallError(-32603, "Internal error", Json.object());
  }

  public static CallError tooMany(String what) {
    return new CallError(-32000, what, Json.object());
  }

  public static CallError closed() {
    return new CallError(1, "WebSocket connection closed", Json.object());
  }

  /**
   * As both SDKs read it: data of the constructor {@code ZodError} whose message is a list of
   * issues in JSON.
   *
   * @param name of the parameter
   * @param expected such as {@code string}
   */
  public static CallError parameter(String name, String expected) {
    ObjectNode issue =
        Json.object()
            .put("expected", expected)
            .put("code", "invalid_type")
            .put("message", "Invalid input: expected " + expected);
    issue.putArray("path").add(name);
    String issues = JsonNodeFactory.instance.arrayNode().add(issue).toString();
    return new CallError(
        -32602,
        "Invalid params: %s, expected %s".formatted(name, expected),
        Json.object()
            .put("constructorName", "ZodError")
            .put("name", "ZodError")
            .put("message", issues));
  }

  ObjectNode json() {
    ObjectNode error = Json.object().put("code", code).put("message", getMessage());
    if (!data.isEmpty()) {
      error.set("data", data);
    }
    return error;
  }
}
