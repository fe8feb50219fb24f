package dev.cofferdam.edge.protocol;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Optional;

/** What a client sends: JSON-RPC 2.0 without batches. */
public sealed interface Message {
  /**
   * @param id a number or a string, sent back as it came
   * @param params an object
   */
  record Call(JsonNode id, String method, JsonNode params) implements Message {}

  record Notification(String method, JsonNode params) implements Message {}

  /** Empty where it is none of the two. */
  static Optional<Message> of(JsonNode json) {
    JsonNode method = json.path("method");
    JsonNode params = json.path("params");
    if (!json.path("jsonrpc").asText().equals("2.0") || !method.isTextual()) {
      return Optional.empty();
    }
    if (params.isMissingNode() || params.isNull()) {
      params = JsonNodeFactory.instance.objectNode();
    } else if (!params.isObject()) {
      return Optional.empty();
    }
    JsonNode id = json.path("id");
    if (id.isMissingNode()) {
      return Optional.of(new Notification(method.textValue(), params));
    }
    boolean usable = (id.isIntegralNumber() && id.canConvertToLong()) || isShortText(id);
    return usable ? Optional.of(new Call(id, method.textValue(), params)) : Optional.empty();
  }

  private static boolean isShortText(JsonNode id) {
    return id.isTextual() && id.textValue().length() <= 128;
  }

  static ObjectNode answer(JsonNode id, JsonNode ok) {
    ObjectNode answer = envelope(id);
    answer.putObject("result").set("ok", ok);
    return answer;
  }

  /** An error of what was called: the SDK throws it as the class that it names. */
  static ObjectNode answer(JsonNode id, SdkError error) {
    ObjectNode answer = envelope(id);
    answer.putObject("result").set("error", error.json());
    return answer;
  }

  /** An error of the call itself. */
  static ObjectNode answer(JsonNode id, CallError error) {
    ObjectNode answer = envelope(id);
    answer.set("error", error.json());
    return answer;
  }

  static ObjectNode notification(String method, ObjectNode params) {
    ObjectNode message = Json.object().put("jsonrpc", "2.0").put("method", method);
    message.set("params", params);
    return message;
  }

  private static ObjectNode envelope(JsonNode id) {
    ObjectNode answer = Json.object().put("jsonrpc", "2.0");
    answer.set("id", id);
    return answer;
  }
}
