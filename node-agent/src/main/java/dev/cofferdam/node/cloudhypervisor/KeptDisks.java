package dev.cofferdam.node.cloudhypervisor;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.cofferdam.node.machine.MachineException;
import dev.cofferdam.node.machine.MachineSpec;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * What a kept machine knows of the volumes that are wanted: a template's nothing, that of one that
 * slept with its volumes all.
 *
 * @param admitting the state, whose configuration lets the VMM reach what is missing. With Landlock
 *     on it opens nothing after a restore that was not named before
 * @param missing numbers of the volumes that are to be plugged in once it is restored. Laid into
 *     the configuration they could take the places of devices that the state knows
 */
record KeptDisks(KeptState admitting, List<Integer> missing) {
  private static final ObjectMapper JSON = new ObjectMapper();

  /**
   * @throws MachineException when the configuration is none: a VMM wrote it
   */
  static KeptDisks of(MachineSpec spec, KeptState state) {
    if (spec.volumes().isEmpty()) {
      return new KeptDisks(state, List.of());
    }
    try {
      if (!(JSON.readTree(state.config()) instanceof ObjectNode config)) {
        throw new IOException("its configuration is no object");
      }
      List<String> known = new ArrayList<>();
      for (JsonNode disk : config.path("disks")) {
        known.add(disk.path("id").asText());
      }
      List<Integer> missing = new ArrayList<>();
      for (int number = 0; number < spec.volumes().size(); number++) {
        if (!known.contains(VmmConfig.volumeId(number))) {
          missing.add(number);
        }
      }
      if (!missing.isEmpty() && config.path("landlock_enable").asBoolean()) {
        rules(config).addObject().put("path", VmmConfig.VOLUMES).put("access", "rw");
      }
      return new KeptDisks(
          new KeptState(
              state.version(), state.memoryBytes(), JSON.writeValueAsBytes(config), state.state()),
          List.copyOf(missing));
    } catch (IOException e) {
      throw new MachineException(
          "%s cannot be restored: %s".formatted(spec.sandbox(), e.getMessage()), e);
    }
  }

  /** Null where there are none. */
  private static ArrayNode rules(ObjectNode config) {
    return config.path("landlock_rules") instanceof ArrayNode rules
        ? rules
        : config.putArray("landlock_rules");
  }
}
