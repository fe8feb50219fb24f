package dev.cofferdam.kit.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class PartsTest {
  @Test
  void theyAreClosedOnceInReverseOrderWhateverFails() {
    List<String> closed = new ArrayList<>();
    Parts parts = new Parts();
    parts.add(() -> closed.add("first"));
    assertThat(parts.add("second", closed::add)).isEqualTo("second");
    parts.add(
        "third",
        part -> {
          closed.add(part);
          throw new IOException("as it may");
        });
    parts.close();
    parts.close();
    assertThat(closed).containsExactly("third", "second", "first");
  }
}
