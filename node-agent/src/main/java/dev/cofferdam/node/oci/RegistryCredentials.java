package dev.cofferdam.node.oci;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.Base64;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * What the operator's registries let this node in by, and for which tenants. The file has the form
 * of containers-auth.json(5), {@code {"auths": {"host[:port][/path]": {"auth": "..."}}}} with the
 * base64 of {@code user:password}, and beside each {@code auth} a list {@code tenants}: their
 * names, or {@code "*"} for all. Of the entries that fit an image the one with the longest path
 * counts, and no other: one for a part of a registry keeps who is not in it out of that part.
 *
 * <p>Messages name entries and never what they hold. Immutable.
 */
public final class RegistryCredentials {
  /** With nothing in it: every registry is asked as anybody would. */
  public static final RegistryCredentials NONE = new RegistryCredentials(Map.of());

  private static final ObjectMapper JSON =
      // A source in a message would be what is not to be shown.
      JsonMapper.builder().disable(StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION).build();

  private static final int MAX_BYTES = 1 << 20;
  private static final Pattern KEY =
      Pattern.compile(
          "[A-Za-z0-9][A-Za-z0-9.-]{0,252}(:[0-9]{1,5})?(/[a-z0-9._-]+)*", Pattern.DOTALL);
  private static final String EVERYBODY = "*";
  private static final Set<PosixFilePermission> OTHERS =
      Set.of(
          PosixFilePermission.GROUP_READ,
          PosixFilePermission.GROUP_WRITE,
          PosixFilePermission.OTHERS_READ,
          PosixFilePermission.OTHERS_WRITE);

  private final Map<String, Entry> entries;

  /** Its fields are not for printing. */
  private static final class Entry {
    private final String basic;
    private final Set<String> tenants;

    private Entry(String basic, Set<String> tenants) {
      this.basic = basic;
      this.tenants = Set.copyOf(tenants);
    }
  }

  private RegistryCredentials(Map<String, Entry> entries) {
    this.entries = Map.copyOf(entries);
  }

  /**
   * @throws IOException naming what is wrong with the file
   */
  public static RegistryCredentials read(Path file) throws IOException {
    Set<PosixFilePermission> permissions = new HashSet<>(Files.getPosixFilePermissions(file));
    permissions.retainAll(OTHERS);
    if (!permissions.isEmpty()) {
      throw new IOException(file + " can be read or written by others than its owner");
    }
    if (Files.size(file) > MAX_BYTES) {
      throw new IOException("%s has more than %d bytes".formatted(file, MAX_BYTES));
    }
    try {
      return of(JSON.readTree(file.toFile()));
    } catch (JsonProcessingException e) {
      // Its message may quote what it has read.
      throw new IOException(file + " is no JSON, at " + line(e));
    } catch (IllegalArgumentException e) {
      throw new IOException(file + ": " + e.getMessage(), e);
    }
  }

  private static String line(JsonProcessingException e) {
    return e.getLocation() == null ? "its begin" : "line " + e.getLocation().getLineNr();
  }

  private static RegistryCredentials of(JsonNode json) {
    JsonNode auths = json.path("auths");
    if (!auths.isObject()) {
      throw new IllegalArgumentException("it has no object 'auths'");
    }
    Map<String, Entry> entries = new LinkedHashMap<>();
    for (Iterator<String> keys = auths.fieldNames(); keys.hasNext(); ) {
      String key = keys.next();
      if (!KEY.matcher(key).matches()) {
        throw new IllegalArgumentException(
            "an entry is named '%s', expected host[:port][/path]".formatted(key));
      }
      entries.put(key, entry(key, auths.path(key)));
    }
    return new RegistryCredentials(entries);
  }

  private static Entry entry(String key, JsonNode json) {
    String auth = json.path("auth").asText();
    if (!isUserAndPassword(auth)) {
      throw new IllegalArgumentException(
          "auth of '%s' is not the base64 of user:password".formatted(key));
    }
    Set<String> tenants = new HashSet<>();
    json.path("tenants").forEach(tenant -> tenants.add(tenant.asText()));
    if (tenants.isEmpty() || tenants.contains("")) {
      throw new IllegalArgumentException(
          "tenants of '%s' is no list of names, expected some, or \"*\" for all".formatted(key));
    }
    return new Entry("Basic " + auth, tenants);
  }

  private static boolean isUserAndPassword(String auth) {
    try {
      String text = new String(Base64.getDecoder().decode(auth), StandardCharsets.UTF_8);
      return text.indexOf(':') > 0 && text.chars().noneMatch(Character::isISOControl);
    } catch (IllegalArgumentException e) {
      return false;
    }
  }

  /**
   * The header's value (RFC 7617) with which the tenant's images of the repository are asked for.
   *
   * @param tenant empty for nobody's
   */
  Optional<String> basic(Registry registry, String repository, String tenant) {
    String path = "/" + repository;
    while (true) {
      for (Map.Entry<String, Entry> entry : entries.entrySet()) {
        if (names(entry.getKey(), registry, path)) {
          Set<String> tenants = entry.getValue().tenants;
          return tenants.contains(EVERYBODY) || tenants.contains(tenant)
              ? Optional.of(entry.getValue().basic)
              : Optional.empty();
        }
      }
      if (path.isEmpty()) {
        return Optional.empty();
      }
      path = path.substring(0, path.lastIndexOf('/'));
    }
  }

  private static boolean names(String key, Registry registry, String path) {
    int slash = key.indexOf('/');
    return registry.isNamed(slash < 0 ? key : key.substring(0, slash))
        && path.equals(slash < 0 ? "" : key.substring(slash));
  }
}
