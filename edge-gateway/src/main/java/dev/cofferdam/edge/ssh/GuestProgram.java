package dev.cofferdam.edge.ssh;

import java.util.List;
import java.util.Optional;

/** What is run in the sandbox for what a client asks for: its shell is bash where there is one. */
final class GuestProgram {
  private static final String SHELL =
      "if [ -x /bin/bash ]; then exec /bin/bash -l; fi; exec /bin/sh -l";

  private static final String COMMAND =
      "if [ -x /bin/bash ]; then exec /bin/bash -c \"$1\"; fi; exec /bin/sh -c \"$1\"";

  /** Where distributions put it. */
  private static final String SFTP =
      "for s in /usr/lib/openssh /usr/libexec/openssh /usr/lib/ssh /usr/libexec; do [ -x"
          + " $s/sftp-server ] && exec $s/sftp-server; done; echo 'the sandbox has no sftp-server,"
          + " which openssh-sftp-server installs' >&2; exit 127";

  private GuestProgram() {}

  /**
   * @param command empty: a shell that asks
   */
  static List<String> of(Optional<String> command) {
    return command
        .map(line -> List.of("/bin/sh", "-c", COMMAND, "sh", line))
        .orElseGet(() -> List.of("/bin/sh", "-c", SHELL));
  }

  static List<String> sftp() {
    return List.of("/bin/sh", "-c", SFTP);
  }
}
