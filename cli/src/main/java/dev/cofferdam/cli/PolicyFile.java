package dev.cofferdam.cli;

import com.google.gson.Gson;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import dev.cofferdam.v1.DataRule;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;

/**
 * An egress policy as people write it: {@code cofferdam.v1.EgressPolicy} in YAML 1.2, of which JSON
 * is a part, with the contract's field names. A rule may be a text as {@code --allow-net} takes it,
 * and an action is written {@code deny}, a mode {@code learn}.
 */
final class PolicyFile {
  private static final int MAX_CHARACTERS = 1 << 20;

  private PolicyFile() {}

  /**
   * @param source for messages
   */
  static EgressPolicy parse(String text, String source) {
    if (text.length() > MAX_CHARACTERS) {
      throw new ClientException(
          "%s: %d characters, expected at most %d"
              .formatted(source, text.length(), MAX_CHARACTERS));
    }
    Map<Object, Object> fields = new LinkedHashMap<>(mapping(load(text, source), source));
    Object rules = fields.remove("rules");
    named(fields, "mode", "POLICY_MODE_");
    fields.computeIfPresent("data", (_, written) -> dataRules(written, source));
    EgressPolicy.Builder policy = EgressPolicy.newBuilder();
    merge(fields, policy, source);
    if (rules instanceof List<?> list) {
      for (Object rule : list) {
        policy.addRules(rule(rule, "%s: rule %d".formatted(source, policy.getRulesCount() + 1)));
      }
    } else if (rules != null) {
      throw new ClientException(source + ": rules is no list");
    }
    return policy.build();
  }

  private static @Nullable Object load(String text, String source) {
    try {
      return new Load(LoadSettings.builder().setLabel(source).setAllowDuplicateKeys(false).build())
          .loadFromString(text);
    } catch (YamlEngineException e) {
      // Its message has the line and the column.
      throw new ClientException(
          "%s: %s".formatted(source, String.valueOf(e.getMessage()).replaceAll("\\s+", " ")));
    }
  }

  private static Map<?, ?> mapping(@Nullable Object document, String source) {
    if (document == null) {
      return Map.of();
    }
    if (document instanceof Map<?, ?> map) {
      return map;
    }
    throw new ClientException(source + ": expected fields such as rules");
  }

  private static EgressRule rule(@Nullable Object written, String place) {
    if (written instanceof String text) {
      return SandboxOptions.rule(text);
    }
    Map<Object, Object> fields = new LinkedHashMap<>(mapping(written, place));
    named(fields, "action", "RULE_ACTION_");
    EgressRule.Builder rule = EgressRule.newBuilder();
    merge(fields, rule, place);
    return rule.build();
  }

  /** The contract's name of a value that may be written without what all of them begin with. */
  private static void named(Map<Object, Object> fields, String field, String prefix) {
    if (fields.get(field) instanceof String name && !name.startsWith(prefix)) {
      fields.put(field, prefix + name.toUpperCase(Locale.ROOT));
    }
  }

  /** With detectors and actions as people write them: {@code card_numbers}, {@code report}. */
  private static Object dataRules(Object written, String source) {
    if (!(written instanceof List<?> list)) {
      throw new ClientException(source + ": data is no list");
    }
    List<Object> rules = new ArrayList<>();
    for (Object rule : list) {
      String place = "%s: data rule %d".formatted(source, rules.size() + 1);
      Map<Object, Object> fields = new LinkedHashMap<>(mapping(rule, place));
      fields.computeIfPresent("action", (_, action) -> constant("DATA_ACTION_", action));
      if (fields.get("detectors") instanceof List<?> detectors) {
        fields.put(
            "detectors", detectors.stream().map(one -> constant("DATA_DETECTOR_", one)).toList());
      }
      // Told with its number here, for the whole would not tell it.
      merge(fields, DataRule.newBuilder(), place);
      rules.add(fields);
    }
    return rules;
  }

  private static @Nullable Object constant(String prefix, @Nullable Object written) {
    return written instanceof String text && !text.startsWith(prefix)
        ? prefix + text.toUpperCase(Locale.ROOT)
        : written;
  }

  private static void merge(Map<?, ?> fields, Message.Builder into, String place) {
    try {
      JsonFormat.parser().merge(new Gson().toJson(fields), into);
    } catch (InvalidProtocolBufferException e) {
      throw new ClientException("%s: %s".formatted(place, e.getMessage()));
    }
  }
}
