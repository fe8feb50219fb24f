package dev.cofferdam.kit.http;

import io.netty.buffer.ByteBuf;

/**
 * Of a head that is written: what is sent in place of the text there, as bytes that are no text.
 */
public interface HeadValues {
  /** All is sent as the head has it. */
  HeadValues NONE =
      new HeadValues() {
        @Override
        public boolean writeTarget(ByteBuf out) {
          return false;
        }

        @Override
        public boolean writeValue(int place, ByteBuf out) {
          return false;
        }
      };

  /**
   * @return whether it wrote the path and query
   */
  boolean writeTarget(ByteBuf out);

  /**
   * @param place of the header among those of the head
   * @return whether it wrote that header's value
   */
  boolean writeValue(int place, ByteBuf out);
}
