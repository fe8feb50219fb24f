package dev.cofferdam.scheduler.api;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.lifecycle.TemplateSpec;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.scheduler.template.Template;
import dev.cofferdam.v1.CreateTemplateRequest;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.TemplateSource;
import java.util.regex.Pattern;

/** Templates as they come in, checked for everything that needs no node. Pure. */
final class TemplateRequests {
  /** Of a node's directories: a name, never a path. */
  private static final Pattern FILE = Pattern.compile("[A-Za-z0-9][A-Za-z0-9.+_-]{0,127}");

  /** Which registries may be asked is each node's to say. */
  private static final Pattern REFERENCE = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}");

  private TemplateRequests() {}

  /**
   * @param otherwise of what the request leaves out
   * @throws Refusal INVALID_ARGUMENT or SIZE_OUT_OF_RANGE
   */
  static TemplateSpec check(CreateTemplateRequest request, SandboxSize otherwise) {
    if (!Template.isName(request.getName())) {
      throw invalid("name", request.getName(), "[a-z][a-z0-9-]{0,62}");
    }
    TemplateSource source = request.getSource();
    switch (source.getSourceCase()) {
      case REGISTRY -> require("source.registry", source.getRegistry(), REFERENCE);
      case FILE -> require("source.file", source.getFile(), FILE);
      case DEBIAN -> throw invalid("source", "debian", "registry or file: it is not served yet");
      case SOURCE_NOT_SET -> throw invalid("source", "", "registry or file");
    }
    if (!source.getKernel().isEmpty()) {
      require("source.kernel", source.getKernel(), FILE);
    }
    return new TemplateSpec(
        request.getName(), source, CreateRequests.size(request.getDefaultSize(), otherwise));
  }

  private static void require(String name, String value, Pattern pattern) {
    if (!pattern.matcher(value).matches()) {
      throw invalid(name, value, pattern.toString());
    }
  }

  private static Refusal invalid(String name, String value, String expected) {
    return new Refusal(
        ErrorReason.ERROR_REASON_INVALID_ARGUMENT,
        "%s is %s, expected %s".formatted(name, Texts.quoted(value), expected));
  }
}
