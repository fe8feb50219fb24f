import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Asks for a URL as a Java program in a guest would, and prints the host that the answer names. */
final class GuestClient {
  private static final Pattern HOST = Pattern.compile("\"host\": *\"([^\"]*)\"");

  private GuestClient() {}

  public static void main(String[] arguments) throws Exception {
    try (InputStream answer = URI.create(arguments[0]).toURL().openStream()) {
      Matcher host = HOST.matcher(new String(answer.readAllBytes(), StandardCharsets.UTF_8));
      if (!host.find()) {
        throw new IllegalStateException("the answer names no host");
      }
      System.out.println(host.group(1));
    }
  }
}
