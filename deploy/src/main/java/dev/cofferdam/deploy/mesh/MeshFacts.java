package dev.cofferdam.deploy.mesh;

import dev.cofferdam.deploy.account.OwnedFiles;
import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;

/** What {@code down} and {@code env} have to know of a mesh that another process started. */
public record MeshFacts(String mesh, MeshPorts ports, Path helper) {
  public static MeshFacts of(MeshOptions options) {
    return new MeshFacts(options.mesh(), options.ports(), options.helper());
  }

  public void write(Path file) throws IOException {
    OwnedFiles.write(
        file,
        """
        mesh=%s
        port-base=%d
        helper=%s
        """
            .formatted(mesh, ports.base(), helper),
        "rw-r--r--");
  }

  /**
   * @throws IOException saying that there is no mesh, when there is no such file
   */
  public static MeshFacts read(Path file) throws IOException {
    if (!Files.exists(file)) {
      throw new IOException("no mesh in %s: ./cofferdam up starts one".formatted(file.getParent()));
    }
    Properties values = new Properties();
    try (Reader reader = Files.newBufferedReader(file)) {
      values.load(reader);
    }
    return new MeshFacts(
        values.getProperty("mesh", ""),
        new MeshPorts(Integer.parseInt(values.getProperty("port-base", "0"))),
        Path.of(values.getProperty("helper", "")));
  }
}
