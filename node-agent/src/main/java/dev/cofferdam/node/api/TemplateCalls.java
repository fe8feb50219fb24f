package dev.cofferdam.node.api;

import dev.cofferdam.internal.v1.MakeTemplateRequest;
import dev.cofferdam.internal.v1.MakeTemplateResponse;
import dev.cofferdam.internal.v1.RemoveTemplateRequest;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.node.machine.MachineSize;
import dev.cofferdam.node.sandbox.SizeLimits;
import dev.cofferdam.node.template.OrderedTemplates;
import dev.cofferdam.node.template.TemplateOrder;
import dev.cofferdam.node.template.TemplateOrder.ImageSource;
import dev.cofferdam.node.template.TemplateStatus;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.TemplateSource;
import dev.cofferdam.v1.TemplateState;
import java.io.IOException;
import java.time.Duration;

/** What the scheduler orders of templates. */
public final class TemplateCalls {
  /** A call waits so long for the end, and is then told how far it is: nobody has to ask often. */
  private static final Duration PATIENCE = Duration.ofSeconds(10);

  private final OrderedTemplates templates;
  private final SizeLimits limits;

  public TemplateCalls(OrderedTemplates templates, SizeLimits limits) {
    this.templates = templates;
    this.limits = limits;
  }

  MakeTemplateResponse make(MakeTemplateRequest request) {
    MachineSize size = NodeApi.size(request.getDefaultSize());
    limits.require(size);
    TemplateStatus status =
        templates.make(
            new TemplateOrder(
                request.getTemplate(),
                source(request),
                request.getSource().getKernel(),
                size,
                request.getTenant()),
            PATIENCE);
    return MakeTemplateResponse.newBuilder()
        .setState(
            switch (status.state()) {
              case MAKING -> TemplateState.TEMPLATE_STATE_MAKING;
              case READY -> TemplateState.TEMPLATE_STATE_READY;
              case FAILED -> TemplateState.TEMPLATE_STATE_FAILED;
            })
        .setDigest(status.digest())
        .setMessage(status.message())
        .build();
  }

  void remove(RemoveTemplateRequest request) throws IOException {
    templates.remove(request.getTemplate());
  }

  private static ImageSource source(MakeTemplateRequest request) {
    TemplateSource source = request.getSource();
    return switch (source.getSourceCase()) {
      case REGISTRY -> new ImageSource.Registry(source.getRegistry());
      case FILE -> new ImageSource.File(source.getFile());
      case DEBIAN ->
          new ImageSource.Built(
              request.getBuilder(),
              source.getDebian().getSourcesList(),
              source.getDebian().getPackagesList(),
              source.getDebian().getStepsList());
      case SOURCE_NOT_SET ->
          throw new Refusal(
              ErrorReason.ERROR_REASON_IMAGE_INVALID,
              "no source, expected a registry's image, a file or a build");
    };
  }
}
