package dev.cofferdam.deploy.account;

import java.io.IOException;
import java.util.List;

/**
 * A system user that one kind of process runs as.
 *
 * @param name of the user and of its own group
 * @param uid never root's
 * @param gid never root's
 */
public record Account(String name, int uid, int gid) {
  public Account {
    if (uid <= 0 || gid <= 0) {
      throw new IllegalArgumentException(
          "%s has uid %d and gid %d, expected neither to be root's".formatted(name, uid, gid));
    }
  }

  /** The user of that name, made when there is none. */
  public static Account ensure(String name) throws IOException {
    if (!Commands.succeeds(List.of("id", "-u", name))) {
      Commands.run(
          List.of(
              "useradd",
              "--system",
              "--user-group",
              "--no-create-home",
              "--home-dir",
              "/nonexistent",
              "--shell",
              "/usr/sbin/nologin",
              name));
    }
    return new Account(
        name,
        Integer.parseInt(Commands.run(List.of("id", "-u", name)).strip()),
        Integer.parseInt(Commands.run(List.of("id", "-g", name)).strip()));
  }

  /** A command that gives up every privilege before it becomes {@code command}. */
  public List<String> asThisUser(List<String> command) {
    return Commands.join(
        List.of(
            // A core file would hold whatever the process held.
            "prlimit",
            "--core=0:0",
            "setpriv",
            "--reuid=" + uid,
            "--regid=" + gid,
            "--clear-groups",
            "--inh-caps=-all",
            "--bounding-set=-all",
            "--no-new-privs"),
        command);
  }
}
