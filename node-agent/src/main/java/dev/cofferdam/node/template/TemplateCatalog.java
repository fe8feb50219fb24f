package dev.cofferdam.node.template;

import dev.cofferdam.node.machine.MachineSize;

/** The templates that can be started. */
@FunctionalInterface
public interface TemplateCatalog {
  /**
   * The one of that name that is prepared for the size; where none is, that of its first size.
   *
   * @throws dev.cofferdam.kit.error.Refusal TEMPLATE_NOT_FOUND, or NODE_UNAVAILABLE while it is
   *     being prepared
   */
  Template require(String name, MachineSize size);
}
