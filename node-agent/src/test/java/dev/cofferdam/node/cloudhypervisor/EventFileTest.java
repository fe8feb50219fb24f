package dev.cofferdam.node.cloudhypervisor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.node.cloudhypervisor.EventFile.Event;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EventFileTest {
  /** As v53.0 writes it, empty line included. */
  private static final String BOOTED =
      """
      {
        "timestamp": {
          "secs": 0,
          "nanos": 733295629
        },
        "source": "vm",
        "event": "booted",
        "properties": null
      }

      """;

  @TempDir Path directory;
  private Path file;
  private EventFile events;

  @BeforeEach
  void setUp() {
    file = directory.resolve("ch-events.json");
    events = new EventFile(() -> file);
  }

  @Test
  void eventsOverSeveralLinesAreTold() throws IOException {
    write(BOOTED + BOOTED.replace("booted", "rebooting"));
    assertThat(events.next())
        .containsExactly(new Event("vm", "booted"), new Event("vm", "rebooting"));
    assertThat(events.next()).isEmpty();
    write(BOOTED.replace("booted", "paused"));
    assertThat(events.next()).containsExactly(new Event("vm", "paused"));
  }

  @Test
  void anEventIsToldOnceItIsWhole() throws IOException {
    String second = BOOTED.replace("booted", "rebooting");
    write(BOOTED);
    assertThat(events.next()).hasSize(1);
    for (int i = 0; i < second.strip().length() - 1; i++) {
      write(second.substring(i, i + 1));
      assertThat(events.next()).as("after %s characters", i + 1).isEmpty();
    }
    write(second.substring(second.strip().length() - 1));
    assertThat(events.next()).containsExactly(new Event("vm", "rebooting"));
  }

  @Test
  void aFileThatIsNotThereHoldsNothing() throws IOException {
    assertThat(events.next()).isEmpty();
  }

  @Test
  void aVmmThatWasTakenOverCannotHaveAnotherFileRead() throws IOException {
    Path secret = Files.writeString(directory.resolve("secret"), BOOTED);
    Files.createSymbolicLink(file, secret);
    assertThat(events.next()).isEmpty();
  }

  @Test
  void whatIsTooLongIsNotRead() throws IOException {
    write(" ".repeat(EventFile.MAX_BYTES + 1));
    assertThatThrownBy(events::next)
        .isInstanceOf(IOException.class)
        .hasMessageContaining("expected");
  }

  @Test
  void whatShrinksIsNoFileOfEvents() throws IOException {
    write(BOOTED + BOOTED);
    assertThat(events.next()).hasSize(2);
    Files.writeString(file, BOOTED);
    assertThatThrownBy(events::next).isInstanceOf(IOException.class);
  }

  @Test
  void whatIsNoJsonIsRefused() throws IOException {
    write("}{");
    assertThatThrownBy(events::next).isInstanceOf(IOException.class).hasMessageContaining("JSON");
  }

  private void write(String text) throws IOException {
    Files.writeString(file, text, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
  }
}
