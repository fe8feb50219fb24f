package dev.cofferdam.gateway;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A process with the classes and settings of this one's JVM. */
final class Jvm {
  private Jvm() {}

  /**
   * @param settings in place of this one's heap
   */
  static List<String> command(String... settings) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .filter(argument -> !argument.startsWith("-Xmx") && !argument.startsWith("-javaagent"))
        .forEach(command::add);
    command.addAll(List.of(settings));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    return command;
  }
}
