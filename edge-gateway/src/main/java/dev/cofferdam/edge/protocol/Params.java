package dev.cofferdam.edge.protocol;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A call's parameters, checked as they are asked for. What is null is as if it were not there: the
 * JavaScript SDK writes every option that was not given so.
 */
public final class Params {
  /** As protobuf has them. */
  private static final Instant FIRST = Instant.parse("0001-01-01T00:00:00Z");

  private static final Instant LAST = Instant.parse("9999-12-31T23:59:59.999999999Z");

  private final JsonNode json;

  public Params(JsonNode json) {
    this.json = json;
  }

  public String text(String name) throws CallError {
    return optionalText(name).orElseThrow(() -> CallError.parameter(name, "string"));
  }

  public Optional<String> optionalText(String name) throws CallError {
    Optional<JsonNode> node = node(name);
    if (node.isPresent() && !node.get().isTextual()) {
      throw CallError.parameter(name, "string");
    }
    return node.map(JsonNode::textValue);
  }

  public long number(String name) throws CallError {
    return optionalNumber(name).orElseThrow(() -> CallError.parameter(name, "number"));
  }

  /** Whole numbers that JavaScript can hold. */
  public Optional<Long> optionalNumber(String name) throws CallError {
    Optional<JsonNode> node = node(name);
    if (node.isPresent()
        && !(node.get().isIntegralNumber()
            && node.get().canConvertToLong()
            && Math.abs(node.get().longValue()) < 1L << 53)) {
      throw CallError.parameter(name, "number");
    }
    return node.map(JsonNode::longValue);
  }

  /** As {@link #number}, or in text, for JavaScript's large ones. */
  public long wholeNumber(String name) throws CallError {
    Optional<JsonNode> node = node(name);
    if (node.isPresent() && node.get().isTextual()) {
      try {
        return Long.parseLong(node.get().textValue());
      } catch (NumberFormatException e) {
        throw CallError.parameter(name, "number");
      }
    }
    return number(name);
  }

  /** Of bytes: no less than none. */
  public Optional<Long> optionalCount(String name) throws CallError {
    Optional<Long> count = optionalNumber(name);
    if (count.isPresent() && count.get() < 0) {
      throw CallError.parameter(name, "number of 0 or more");
    }
    return count;
  }

  public boolean flag(String name, boolean fallback) throws CallError {
    return optionalFlag(name).orElse(fallback);
  }

  public Optional<Boolean> optionalFlag(String name) throws CallError {
    Optional<JsonNode> node = node(name);
    if (node.isPresent() && !node.get().isBoolean()) {
      throw CallError.parameter(name, "boolean");
    }
    return node.map(JsonNode::booleanValue);
  }

  public List<String> texts(String name) throws CallError {
    List<String> texts = new ArrayList<>();
    Optional<JsonNode> node = node(name);
    if (node.isPresent()) {
      if (!node.get().isArray()) {
        throw CallError.parameter(name, "array");
      }
      for (JsonNode item : node.get()) {
        if (!item.isTextual()) {
          throw CallError.parameter(name, "string");
        }
        texts.add(item.textValue());
      }
    }
    return texts;
  }

  public Map<String, String> textMap(String name) throws CallError {
    Map<String, String> texts = new LinkedHashMap<>();
    Optional<JsonNode> node = node(name);
    if (node.isPresent()) {
      if (!node.get().isObject()) {
        throw CallError.parameter(name, "record");
      }
      for (Map.Entry<String, JsonNode> entry : node.get().properties()) {
        if (!entry.getValue().isTextual()) {
          throw CallError.parameter(name, "string");
        }
        texts.put(entry.getKey(), entry.getValue().textValue());
      }
    }
    return texts;
  }

  /** Whether it is true, or a list. */
  public boolean flagOrTexts(String name) throws CallError {
    return json.path(name).isArray() ? !texts(name).isEmpty() : flag(name, false);
  }

  /** As it came, into another object. */
  public void copy(String name, ObjectNode to) {
    node(name).ifPresent(node -> to.set(name, node));
  }

  /** As it came; empty where it is not there. */
  public List<JsonNode> array(String name) throws CallError {
    List<JsonNode> items = new ArrayList<>();
    Optional<JsonNode> node = node(name);
    if (node.isPresent()) {
      if (!node.get().isArray()) {
        throw CallError.parameter(name, "array");
      }
      node.get().forEach(items::add);
    }
    return items;
  }

  public List<Params> objects(String name) throws CallError {
    List<Params> objects = new ArrayList<>();
    Optional<JsonNode> node = node(name);
    if (node.isPresent()) {
      if (!node.get().isArray()) {
        throw CallError.parameter(name, "array");
      }
      for (JsonNode item : node.get()) {
        if (!item.isObject()) {
          throw CallError.parameter(name, "object");
        }
        objects.add(new Params(item));
      }
    }
    return objects;
  }

  /** ISO 8601, or seconds since 1970. */
  public Instant time(String name) throws CallError {
    JsonNode node = node(name).orElseThrow(() -> CallError.parameter(name, "date"));
    try {
      // What is no number of milliseconds becomes one that is no time.
      Instant time =
          node.isNumber()
              ? Instant.ofEpochMilli((long) Math.floor(node.doubleValue() * 1000))
              : OffsetDateTime.parse(node.asText()).toInstant();
      if (time.isBefore(FIRST) || time.isAfter(LAST)) {
        throw CallError.parameter(name, "date");
      }
      return time;
    } catch (DateTimeException e) {
      throw CallError.parameter(name, "date");
    }
  }

  /** Base64, as RFC 4648 has it. */
  public Optional<byte[]> optionalBytes(String name) throws CallError {
    Optional<String> text = optionalText(name);
    if (text.isEmpty()) {
      return Optional.empty();
    }
    try {
      return Optional.of(Base64.getDecoder().decode(text.get()));
    } catch (IllegalArgumentException e) {
      throw CallError.parameter(name, "base64");
    }
  }

  /** An object among the parameters; empty where it is not there. */
  public Params object(String name) throws CallError {
    Optional<JsonNode> node = node(name);
    if (node.isPresent() && !node.get().isObject()) {
      throw CallError.parameter(name, "object");
    }
    return new Params(node.orElseGet(Json::object));
  }

  /** All of them, as they came. */
  public JsonNode json() {
    return json;
  }

  private Optional<JsonNode> node(String name) {
    JsonNode node = json.path(name);
    return node.isMissingNode() || node.isNull() ? Optional.empty() : Optional.of(node);
  }
}
