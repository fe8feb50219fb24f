package dev.cofferdam.deploy.demo;

import dev.cofferdam.deploy.mesh.MeshLayout;
import java.nio.file.Path;

/**
 * Where the demo takes place.
 *
 * @param stageScript {@code deploy/stage/stage}
 * @param stage the stage's name and the mesh's
 * @param upstream the directory where the upstream keeps its record
 */
public record DemoWorld(MeshLayout layout, Path stageScript, String stage, Path upstream) {}
