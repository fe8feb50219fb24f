package dev.cofferdam.edge.protocol;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonSerializable;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.jsontype.TypeSerializer;
import java.io.IOException;
import java.util.Base64;

/** Bytes that are written as Base64, whose characters JSON has no need to escape. */
final class Base64Text implements JsonSerializable {
  private final byte[] data;

  Base64Text(byte[] data) {
    this.data = data;
  }

  @Override
  public void serialize(JsonGenerator generator, SerializerProvider provider) throws IOException {
    byte[] text = Base64.getEncoder().encode(data);
    generator.writeRawUTF8String(text, 0, text.length);
  }

  @Override
  public void serializeWithType(
      JsonGenerator generator, SerializerProvider provider, TypeSerializer types)
      throws IOException {
    serialize(generator, provider);
  }
}
