package dev.cofferdam.node.template;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.node.image.Image;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class TemplateStoreTest {
  private static final String DIGEST = "0123456789abcdef";
  private static final MachineSize SIZE = new MachineSize(1, 128, 64);

  @TempDir private Path directory;
  private TemplateStore store;
  private Image image;

  @BeforeEach
  void open() {
    store = new TemplateStore(directory.resolve("templates"));
    image = new Image(DIGEST, directory.resolve("image"), "quiet", List.of(), 64);
  }

  private Path snapshot(String name) throws IOException {
    Path made = Files.createDirectory(directory.resolve(name));
    for (String part : List.of(MachineSpec.RAM, MachineSpec.STATE, MachineSpec.DISK)) {
      Files.writeString(made.resolve(part), part + " of the " + name + " machine");
    }
    return made;
  }

  private String state(Template template) throws IOException {
    return Files.readString(template.directory().resolve(MachineSpec.STATE));
  }

  @Test
  void whatWasPublishedIsFoundWhole() throws Exception {
    Template published = store.publish(DIGEST, image, SIZE, snapshot("first"));

    assertThat(store.find(DIGEST, image, SIZE)).contains(published);
    assertThat(state(published)).contains("first");
  }

  /** Machines that restore from the first would get its memory and the second's state. */
  @Test
  void theSecondOfTwoMeshesTakesWhatTheFirstMade() throws Exception {
    Template first = store.publish(DIGEST, image, SIZE, snapshot("first"));

    Template second = store.publish(DIGEST, image, SIZE, snapshot("second"));

    assertThat(second).isEqualTo(first);
    assertThat(state(second)).contains("first");
    try (var left = Files.list(directory.resolve("templates"))) {
      assertThat(left).containsExactly(first.directory());
    }
  }

  @Test
  void aBrokenOneIsReplaced() throws Exception {
    Template broken = store.publish(DIGEST, image, SIZE, snapshot("first"));
    Files.delete(broken.directory().resolve(MachineSpec.RAM));
    assertThat(store.find(DIGEST, image, SIZE)).isEmpty();

    Template whole = store.publish(DIGEST, image, SIZE, snapshot("second"));

    assertThat(store.find(DIGEST, image, SIZE)).contains(whole);
    assertThat(state(whole)).contains("second");
  }
}
