package dev.cofferdam.node.template;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.node.image.Image;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.machine.MachineSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class TemplateStoreTest {
  private static final String DIGEST = "0123456789abcdef";
  private static final MachineSize SIZE = new MachineSize(1, 128, 64);

  @TempDir private Path directory;
  private final InstantSource clock = InstantSource.system();
  private TemplateStore store;
  private Image image;

  @BeforeEach
  void open() throws IOException {
    store = new TemplateStore(directory.resolve("templates"), clock, new Random(1));
    image = new Image(DIGEST, directory.resolve("image"), "quiet", List.of(), 64);
    Files.createDirectory(image.directory());
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
    Template published = publish("first");

    assertThat(find()).contains(published);
    assertThat(state(published)).contains("first");
  }

  /** node-helper takes no other names (its verbs.go). */
  @Test
  void aNameIsOneThatTheHelperTakes() throws Exception {
    Template staged = store.stage("0123456789abcdef".repeat(4), image, SIZE, snapshot("first"));
    assertThat(staged.name()).matches("[a-z0-9][a-z0-9-]{0,127}");
  }

  @Test
  void whatIsStagedIsThereWithoutBeingFound() throws Exception {
    Template staged = store.stage(DIGEST, image, SIZE, snapshot("first"));

    assertThat(find()).isEmpty();
    assertThat(state(staged)).contains("first");
    store.discard(staged);
    assertThat(left()).isEmpty();
  }

  /** Two of the same would take twice the room. */
  @Test
  void theSecondOfTwoMeshesTakesWhatTheFirstMade() throws Exception {
    Template second = store.stage(DIGEST, image, SIZE, snapshot("second"));
    Template first = publish("first");

    assertThat(store.publish(DIGEST, second, Set.of())).isEqualTo(first);
    assertThat(state(first)).contains("first");
    assertThat(left()).containsExactly(first.name());
  }

  /** node-helper has the memory of the first under its name; a file under it must never change. */
  @Test
  void oneThatIsMadeAnewStandsBesideTheRefusedOne() throws Exception {
    Template bad = publish("first");

    Template good = store.publish(DIGEST, stage("second"), Set.of(bad.name()));

    assertThat(good.name()).isNotEqualTo(bad.name());
    assertThat(state(bad)).contains("first");
    assertThat(state(good)).contains("second");
    assertThat(left()).containsExactlyInAnyOrder(bad.name(), good.name());
  }

  @Test
  void theNewestWholeOneIsFound() throws Exception {
    Template first = publish("first");
    Template second = store.publish(DIGEST, stage("second"), Set.of(first.name()));
    age(first, Duration.ofDays(2));
    age(second, Duration.ofDays(1));
    assertThat(find()).contains(second);

    Files.delete(second.directory().resolve(MachineSpec.RAM));
    assertThat(find()).contains(first);

    Files.writeString(first.directory().resolve("template.json"), "{\"sizes");
    assertThat(find()).isEmpty();
  }

  @Test
  void onlyOldMakingsWithoutAnEndAreRemoved() throws Exception {
    Template published = publish("first");
    Template recent = stage("second");
    Template killed = stage("third");
    Path before = Files.createDirectory(published.directory().resolveSibling("." + DIGEST + "-1"));
    Path other = Files.createDirectory(published.directory().resolveSibling("lost+found"));
    for (Path old : List.of(published.directory(), killed.directory(), before, other)) {
      age(old, Duration.ofHours(2));
    }
    // One file that is still being written to.
    age(recent.directory(), Duration.ofHours(2));
    Files.setLastModifiedTime(
        recent.directory().resolve(MachineSpec.RAM), FileTime.from(clock.instant()));

    store.removeAbandoned();

    assertThat(left()).containsExactlyInAnyOrder(published.name(), recent.name(), "lost+found");
    assertThat(find()).contains(published);
  }

  @Test
  void whatWasMadeOfAnImageThatIsNoMoreGoes() throws Exception {
    Template published = publish("first");
    store.removeAbandoned();
    assertThat(find()).contains(published);
    age(published.directory(), Duration.ofHours(2));
    store.removeAbandoned();
    assertThat(find()).contains(published);

    Files.delete(image.directory());
    store.removeAbandoned();
    assertThat(left()).isEmpty();
  }

  private Template stage(String name) throws IOException {
    return store.stage(DIGEST, image, SIZE, snapshot(name));
  }

  private Template publish(String name) throws IOException {
    return store.publish(DIGEST, stage(name), Set.of());
  }

  private Optional<Template> find() throws IOException {
    return store.find(DIGEST, image, SIZE, Set.of());
  }

  private void age(Template template, Duration by) throws IOException {
    age(template.directory(), by);
  }

  private void age(Path directory, Duration by) throws IOException {
    FileTime then = FileTime.from(clock.instant().minus(by));
    try (var files = Files.list(directory)) {
      for (Path file : files.toList()) {
        Files.setLastModifiedTime(file, then);
      }
    }
    Files.setLastModifiedTime(directory, then);
  }

  private List<String> left() throws IOException {
    try (var left = Files.list(directory.resolve("templates"))) {
      return left.map(path -> String.valueOf(path.getFileName())).toList();
    }
  }
}
