package dev.cofferdam.scheduler.placement;

import dev.cofferdam.scheduler.sandbox.SandboxSize;

/** What is to be placed. */
public record PlacementSpec(String template, SandboxSize size) {}
