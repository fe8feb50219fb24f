package dev.cofferdam.node.template;

/** The templates that can be started. */
public interface TemplateCatalog {
  /**
   * @throws dev.cofferdam.kit.error.Refusal TEMPLATE_NOT_FOUND, or NODE_UNAVAILABLE while it is
   *     being prepared
   */
  Template require(String name);
}
