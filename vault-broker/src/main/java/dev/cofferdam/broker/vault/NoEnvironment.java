package dev.cofferdam.broker.vault;

import io.github.jopenlibs.vault.EnvironmentLoader;
import org.jspecify.annotations.Nullable;

/** Hides the process's environment from the driver. */
final class NoEnvironment extends EnvironmentLoader {
  private static final long serialVersionUID = 1L;

  @Override
  public @Nullable String loadVariable(String name) {
    return null;
  }
}
