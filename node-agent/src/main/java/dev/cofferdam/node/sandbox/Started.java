package dev.cofferdam.node.sandbox;

import dev.cofferdam.node.machine.Isolation;
import java.util.Map;
import java.util.Optional;

/**
 * The answer to a start.
 *
 * @param way empty where the sandbox ran already
 * @param stepsMs where the time went; empty where the sandbox ran already
 */
public record Started(Isolation isolation, Optional<StartWay> way, Map<String, Double> stepsMs) {}
