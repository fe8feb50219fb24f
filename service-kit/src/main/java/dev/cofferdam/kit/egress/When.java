package dev.cofferdam.kit.egress;

import dev.cel.bundle.Cel;
import dev.cel.bundle.CelFactory;
import dev.cel.common.CelIssue;
import dev.cel.common.CelOptions;
import dev.cel.common.CelValidationException;
import dev.cel.common.CelValidationResult;
import dev.cel.common.types.ListType;
import dev.cel.common.types.MapType;
import dev.cel.common.types.SimpleType;
import dev.cel.parser.CelStandardMacro;
import dev.cel.runtime.CelEvaluationException;
import dev.cel.runtime.CelRuntime;
import dev.cel.runtime.CelVariableResolver;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * An expression of the Common Expression Language over a request. Checked against the types of what
 * it may ask for, so that a misspelt name is found when a policy is put into force and not by the
 * request that it was to stop.
 */
final class When {
  private static final int MAX_LENGTH = 2048;

  /**
   * No dearer than a few thousand steps, whoever wrote it: comprehensions are bounded over the
   * whole evaluation, regular expressions run in linear time (RE2) and stay small.
   */
  private static final CelOptions OPTIONS =
      CelOptions.current()
          .maxExpressionCodePointSize(MAX_LENGTH)
          .maxParseRecursionDepth(32)
          .maxParseErrorRecoveryLimit(8)
          .comprehensionMaxIterations(1000)
          .maxRegexProgramSize(100)
          .build();

  private static final Cel CEL =
      CelFactory.standardCelBuilder()
          .setOptions(OPTIONS)
          .setStandardMacros(CelStandardMacro.STANDARD_MACROS)
          .addVar("request.method", SimpleType.STRING)
          .addVar("request.host", SimpleType.STRING)
          .addVar("request.path", SimpleType.STRING)
          .addVar("request.headers", MapType.create(SimpleType.STRING, SimpleType.STRING))
          .addVar(
              "request.query",
              MapType.create(SimpleType.STRING, ListType.create(SimpleType.STRING)))
          .addVar("request.size", SimpleType.INT)
          .setResultType(SimpleType.BOOL)
          .build();

  private final CelRuntime.Program program;

  private When(CelRuntime.Program program) {
    this.program = program;
  }

  /**
   * @throws IllegalArgumentException with line and column of the first mistake
   */
  static When compile(String text) {
    if (text.length() > MAX_LENGTH) {
      throw new IllegalArgumentException(
          "an expression of %d characters, expected at most %d"
              .formatted(text.length(), MAX_LENGTH));
    }
    CelValidationResult checked = CEL.compile(text);
    for (CelIssue issue : checked.getErrors()) {
      throw new IllegalArgumentException(
          "when, line %d, column %d: %s"
              .formatted(
                  issue.getSourceLocation().getLine(),
                  // Counted from 0 there.
                  issue.getSourceLocation().getColumn() + 1,
                  Shown.of(issue.getMessage())));
    }
    try {
      return new When(CEL.createProgram(checked.getAst()));
    } catch (CelValidationException | CelEvaluationException e) {
      throw new IllegalArgumentException("when: " + Shown.of(String.valueOf(e.getMessage())), e);
    }
  }

  /**
   * @param failed what it comes to where it cannot be evaluated
   * @throws AmbiguousException when it asked for what is ambiguous
   */
  boolean holds(RequestFacts request, boolean failed) throws AmbiguousException {
    Variables variables = new Variables(request);
    Object result;
    try {
      result = program.eval(variables);
    } catch (CelEvaluationException e) {
      result = failed;
    }
    if (variables.ambiguous != null) {
      throw variables.ambiguous;
    }
    return Boolean.TRUE.equals(result);
  }

  /** Each time that it is asked for it may be looked at whole, by a regular expression too. */
  private static Object value(RequestFacts request, String name) throws AmbiguousException {
    return switch (name) {
      case "request.method" -> charged(request, request.method(), 1);
      case "request.host" -> charged(request, request.host(), request.host().length());
      case "request.path" ->
          charged(request, request.path().text(), request.path().text().length());
      case "request.headers" ->
          charged(
              request,
              request.headers(),
              request.headers().entrySet().stream()
                  .mapToLong(header -> header.getKey().length() + header.getValue().length())
                  .sum());
      case "request.query" -> charged(request, request.query(), request.target().length());
      case "request.size" -> charged(request, request.size(), 1);
      default -> throw new IllegalStateException("no expression has the variable " + name);
    };
  }

  private static Object charged(RequestFacts request, Object value, long cost)
      throws AmbiguousException {
    request.charge(16 + cost);
    return value;
  }

  /** Reads what is asked for and no more: a path that nobody asks for may be what it likes. */
  private static final class Variables implements CelVariableResolver {
    private final RequestFacts request;
    private @Nullable AmbiguousException ambiguous;

    Variables(RequestFacts request) {
      this.request = request;
    }

    @Override
    public Optional<Object> find(String name) {
      try {
        return Optional.of(value(request, name));
      } catch (AmbiguousException e) {
        ambiguous = e;
        return Optional.empty();
      }
    }
  }
}
