package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.machine.Isolation;
import java.util.Map;

/**
 * The answer to a start.
 *
 * @param stepsMs where the time went; empty where the sandbox ran already
 */
public record Started(Isolation isolation, Map<String, Double> stepsMs) {}
