package dev.cofferdam.scheduler.api;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.lifecycle.TemplateSpec;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.sandbox.Texts;
import dev.cofferdam.scheduler.template.Template;
import dev.cofferdam.v1.CreateTemplateRequest;
import dev.cofferdam.v1.DebianSource;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.TemplateSource;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;

/** Templates as they come in, checked for everything that needs no node. Pure. */
final class TemplateRequests {
  /** Of a node's directories: a name, never a path. */
  private static final Pattern FILE = Pattern.compile("[A-Za-z0-9][A-Za-z0-9.+_-]{0,127}");

  /** Which registries may be asked is each node's to say. */
  private static final Pattern REFERENCE = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}");

  private static final int MAX_PACKAGES = 256;
  private static final int MAX_SOURCES = 32;
  private static final int MAX_STEPS = 64;
  private static final int MAX_STEP = 64 << 10;
  private static final int MAX_ALL_STEPS = 256 << 10;

  /**
   * Debian Policy 5.6.1 and 5.6.12. Nothing that begins so is an option; what ends in a minus would
   * have apt-get remove a package.
   */
  private static final Pattern PACKAGE =
      Pattern.compile(
          "[a-z0-9][a-z0-9+.-]{0,126}[a-z0-9+.](=[0-9]([A-Za-z0-9.+:~-]{0,126}[A-Za-z0-9.+~])?)?");

  /** One line of sources.list(5). */
  private static final Pattern APT_SOURCE = Pattern.compile("deb [ -~]{1,1020}");

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
      case DEBIAN -> check(source.getDebian());
      case SOURCE_NOT_SET -> throw invalid("source", "", "registry, file or debian");
    }
    if (!source.getKernel().isEmpty()) {
      require("source.kernel", source.getKernel(), FILE);
    }
    return new TemplateSpec(
        RequestKeys.key(request.getRequestId(), request.toBuilder().clearRequestId().build()),
        request.getName(),
        source,
        CreateRequests.size(request.getDefaultSize(), otherwise));
  }

  private static void check(DebianSource debian) {
    atMost("source.debian.packages", debian.getPackagesCount(), MAX_PACKAGES);
    debian.getPackagesList().forEach(each -> require("source.debian.packages", each, PACKAGE));
    atMost("source.debian.sources", debian.getSourcesCount(), MAX_SOURCES);
    debian.getSourcesList().forEach(each -> require("source.debian.sources", each, APT_SOURCE));
    atMost("source.debian.steps", debian.getStepsCount(), MAX_STEPS);
    int total = 0;
    for (String step : debian.getStepsList()) {
      int bytes = step.getBytes(StandardCharsets.UTF_8).length;
      total += bytes;
      if (bytes < 1 || bytes > MAX_STEP || step.indexOf('\0') >= 0) {
        throw invalid("source.debian.steps", step, "1 to %d bytes without NUL".formatted(MAX_STEP));
      }
    }
    if (total > MAX_ALL_STEPS) {
      throw invalid(
          "source.debian.steps", total + " bytes", "at most %d in all".formatted(MAX_ALL_STEPS));
    }
    var _ = CreateRequests.policy(debian.getEgressPolicy());
  }

  private static void atMost(String name, int count, int max) {
    if (count > max) {
      throw invalid(name, count + " of them", "at most " + max);
    }
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
