package dev.cofferdam.scheduler.placement;

/** What came of a placement. */
public sealed interface Decision {
  record Placed(NodeView node) implements Decision {}

  /** No node has ever registered, so nothing can be said about templates or sizes. */
  record NoNodes() implements Decision {}

  /** No known node offers the template. */
  record UnknownTemplate() implements Decision {}

  /**
   * No known node that offers the template could hold it even if it were empty.
   *
   * @param largest what the largest of them could hold, part by part
   */
  record TooLarge(NodeView.Limit largest) implements Decision {}

  /** The nodes that could hold it are not connected. */
  record NoneConnected() implements Decision {}

  /** They are connected and full. */
  record Full() implements Decision {}
}
