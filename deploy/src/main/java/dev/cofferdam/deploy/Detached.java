package dev.cofferdam.deploy;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Runs this same command once more, in a session of its own, and returns when that is ready. */
final class Detached {
  private Detached() {}

  /**
   * @param errors where the launcher's standard error goes from now on
   * @return the exit code: 0 when the mesh is ready
   */
  static int start(Path errors) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("setsid"));
    for (String word :
        Files.readString(Path.of("/proc/self/cmdline"), StandardCharsets.UTF_8).split("\0", -1)) {
      if (!word.isEmpty() && !word.equals("--detach")) {
        command.add(word);
      }
    }
    Process launcher =
        new ProcessBuilder(command)
            .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
            .redirectError(ProcessBuilder.Redirect.to(errors.toFile()))
            .start();
    BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(launcher.getInputStream(), StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      if (line.equals(UpCommand.READY)) {
        return 0;
      }
      System.out.println(line);
    }
    System.err.print(Files.readString(errors));
    return Math.max(1, launcher.waitFor());
  }
}
