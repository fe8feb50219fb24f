package dev.cofferdam.kit.egress;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a message says that this version does not understand. In a policy or a binding that may be a
 * condition, and to leave a condition out is to allow more than was meant.
 */
public final class UnknownParts {
  private UnknownParts() {}

  /** The first one, at any depth, for a message to people. */
  public static Optional<String> first(Message message) {
    if (!message.getUnknownFields().asMap().isEmpty()) {
      return Optional.of(
          "field %d of %s is unknown here"
              .formatted(
                  message.getUnknownFields().asMap().keySet().iterator().next(),
                  message.getDescriptorForType().getName()));
    }
    for (Map.Entry<FieldDescriptor, Object> field : message.getAllFields().entrySet()) {
      List<?> values =
          field.getKey().isRepeated() ? (List<?>) field.getValue() : List.of(field.getValue());
      for (Object value : values) {
        Optional<String> within = value instanceof Message part ? first(part) : Optional.empty();
        if (within.isPresent()) {
          return within;
        }
      }
    }
    return Optional.empty();
  }
}
