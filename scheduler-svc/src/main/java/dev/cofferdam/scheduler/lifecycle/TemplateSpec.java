package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.v1.TemplateSource;

/** A template's create that passed every check that needs no node. */
public record TemplateSpec(String name, TemplateSource source, SandboxSize size) {}
