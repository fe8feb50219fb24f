package dev.cofferdam.deploy.postgres;

import java.util.List;

/** The two files that decide how durable the server is and whom it lets in. */
final class PostgresFiles {
  private PostgresFiles() {}

  static String settings(int port) {
    return """
    # Written by the launcher at every start.
    listen_addresses = '127.0.0.1'
    port = %d
    unix_socket_directories = ''
    max_connections = 80
    shared_buffers = '32MB'
    dynamic_shared_memory_type = posix
    max_wal_size = '512MB'

    # A record that was acknowledged survives a power cut.
    fsync = on
    synchronous_commit = on
    full_page_writes = on

    password_encryption = 'scram-sha-256'
    # Statements and parameters never reach the log.
    log_statement = 'none'
    log_min_duration_statement = -1
    log_parameter_max_length = 0
    log_parameter_max_length_on_error = 0
    log_min_error_statement = panic
    log_timezone = 'UTC'
    timezone = 'UTC'
    """
        .formatted(port);
  }

  /** Each role reaches its own database and no other; what no line matches is refused. */
  static String access(String administrator, List<String> roles) {
    StringBuilder lines = new StringBuilder("# Written by the launcher at every start.\n");
    for (String role : roles) {
      lines.append("host %1$s %1$s 127.0.0.1/32 scram-sha-256\n".formatted(role));
    }
    return lines
        .append("host all %s 127.0.0.1/32 scram-sha-256\n".formatted(administrator))
        .toString();
  }
}
