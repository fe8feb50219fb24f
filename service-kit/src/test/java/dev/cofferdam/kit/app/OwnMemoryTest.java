package dev.cofferdam.kit.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/** That others are kept out is shown on the running services: test_55_fail_closed.py. */
@EnabledOnOs(OS.LINUX)
class OwnMemoryTest {
  /** A process of its own: what is shut is never opened again. */
  static final class Shutting {
    private Shutting() {}

    public static void main(String[] args) {
      boolean before = OwnMemory.isShut();
      OwnMemory.shut();
      System.out.print(before + " " + OwnMemory.isShut());
    }
  }

  @Test
  void itIsOpenUntilItIsShut() throws Exception {
    assertThat(said(Shutting.class.getName())).isEqualTo("false true");
  }

  /** Before it even looks at its command line. */
  @Test
  void aServiceShutsItsOwnBeforeAllElse() throws Exception {
    assertThat(said(Serving.class.getName())).isEqualTo("true");
  }

  static final class Serving {
    private Serving() {}

    public static void main(String[] args) {
      Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.print(OwnMemory.isShut())));
      ServiceMain.run("svc", args, _ -> () -> {});
    }
  }

  private static String said(String... main) throws Exception {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("--enable-native-access=ALL-UNNAMED");
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.addAll(List.of(main));
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
    return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
  }
}
