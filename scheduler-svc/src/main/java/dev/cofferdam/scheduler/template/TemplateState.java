package dev.cofferdam.scheduler.template;

/**
 * Where a tenant's template is in its life.
 *
 * <pre>
 *   (nothing) -- create --> MAKING -- a node has it --> READY
 *                             |                           |
 *                             | every node failed         |
 *                             v                           |
 *                           FAILED                        |
 *                             |                           |
 *                             +-- deleted --> DELETING <--+  (from MAKING too)
 * </pre>
 */
public enum TemplateState {
  MAKING,
  READY,
  FAILED,
  /** Nobody sees it any more: what remains is to remove it at the nodes, and the record. */
  DELETING
}
