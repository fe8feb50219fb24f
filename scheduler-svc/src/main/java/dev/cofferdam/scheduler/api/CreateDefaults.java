package dev.cofferdam.scheduler.api;

import dev.cofferdam.scheduler.sandbox.SandboxSize;

/** What a create gets that says nothing. */
public record CreateDefaults(String template, SandboxSize size) {}
