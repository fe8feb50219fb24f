package dev.cofferdam.edge.ssh;

import java.io.IOException;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import org.apache.sshd.common.channel.PtyMode;
import org.apache.sshd.common.channel.RequestHandler;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.server.channel.ChannelSession;

/**
 * A channel for a shell or a command. Of the client's environment the language alone goes in; its
 * agent and its screen stay out of a sandbox's reach.
 */
final class SessionChannel extends ChannelSession {
  private static final Pattern VARIABLE = Pattern.compile("LANG|LC_[A-Z]{1,32}|COLORTERM");
  private static final Pattern TERMINAL = Pattern.compile("[A-Za-z0-9._+-]{1,64}");
  private static final int MOST_VARIABLES = 32;
  private static final int LONGEST_VALUE = 256;

  private final Map<String, String> variables = new ConcurrentHashMap<>();
  private volatile boolean terminal;

  Map<String, String> variables() {
    return Map.copyOf(variables);
  }

  boolean hasTerminal() {
    return terminal;
  }

  @Override
  protected RequestHandler.Result handlePtyReqParsed(
      String term, int columns, int rows, int width, int height, Map<PtyMode, Integer> modes)
      throws IOException {
    terminal = true;
    if (TERMINAL.matcher(term).matches()) {
      variables.put("TERM", term);
    }
    return super.handlePtyReqParsed(term, columns, rows, width, height, modes);
  }

  @Override
  protected RequestHandler.Result handleEnvParsed(String name, String value) {
    if (!VARIABLE.matcher(name).matches()
        || value.length() > LONGEST_VALUE
        || value.indexOf('\0') >= 0
        || variables.size() >= MOST_VARIABLES) {
      return RequestHandler.Result.ReplyFailure;
    }
    variables.put(name, value);
    return RequestHandler.Result.ReplySuccess;
  }

  @Override
  protected RequestHandler.Result handleAgentForwarding(
      String type, Buffer buffer, boolean wantReply) {
    return RequestHandler.Result.ReplyFailure;
  }

  @Override
  protected RequestHandler.Result handleX11Forwarding(
      String type, Buffer buffer, boolean wantReply) {
    return RequestHandler.Result.ReplyFailure;
  }
}
