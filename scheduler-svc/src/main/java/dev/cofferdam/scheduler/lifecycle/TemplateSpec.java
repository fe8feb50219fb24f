package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.store.RequestStore.RequestKey;
import dev.cofferdam.v1.TemplateSource;
import java.util.Optional;

/**
 * A template's create that passed every check that needs no node.
 *
 * @param request empty: not idempotent
 */
public record TemplateSpec(
    Optional<RequestKey> request, String name, TemplateSource source, SandboxSize size) {}
