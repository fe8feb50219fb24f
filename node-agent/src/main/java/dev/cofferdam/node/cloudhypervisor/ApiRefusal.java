package dev.cofferdam.node.cloudhypervisor;

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * Cloud Hypervisor answered that it will not. It says why as a JSON list, the outermost cause
 * first; builds with debugging on append a stack trace to one of them.
 */
final class ApiRefusal extends ApiException {
  private static final long serialVersionUID = 1L;

  /** What its HTTP library refuses by itself has bare line ends inside of strings. */
  private static final ObjectMapper JSON =
      JsonMapper.builder().enable(JsonReadFeature.ALLOW_UNESCAPED_CONTROL_CHARS).build();

  /** Says only that what follows came over the API. */
  private static final String PREAMBLE = "Error from API";

  private static final int MAX_CAUSES = 12;
  private static final int MAX_CAUSE = 240;

  private final int status;

  private ApiRefusal(int status, String message) {
    super(message);
    this.status = status;
  }

  /**
   * @param call what was asked, for people
   * @param body as it came: from a VMM that may have been taken over
   */
  static ApiRefusal of(String call, int status, byte[] body) {
    List<String> causes = causes(body);
    String why = causes.isEmpty() ? "no reason given" : String.join(": ", causes);
    return new ApiRefusal(status, "%s: %s (status %d)".formatted(call, why, status));
  }

  /** 400 bad request, 404 no such thing, 409 exists, 429 busy with one like it, 500 any other. */
  int status() {
    return status;
  }

  private static List<String> causes(byte[] body) {
    List<String> causes = new ArrayList<>();
    try {
      for (JsonNode cause : JSON.readTree(body)) {
        String line = printable(cause.asText());
        if (!line.isEmpty() && !line.equals(PREAMBLE) && causes.size() < MAX_CAUSES) {
          causes.add(line);
        }
      }
    } catch (IOException e) {
      // No list, no reason: some refusals have an empty body.
    }
    return causes;
  }

  private static String printable(String cause) {
    String line = cause.lines().findFirst().orElse("").replaceAll("[^\\x20-\\x7e]", "?").strip();
    return line.length() <= MAX_CAUSE ? line : line.substring(0, MAX_CAUSE) + "...";
  }
}
