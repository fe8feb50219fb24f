package dev.cofferdam.node;

import dev.cofferdam.internal.v1.NodeHeartbeat;
import dev.cofferdam.internal.v1.PooledMachines;
import dev.cofferdam.internal.v1.RunningSandbox;
import dev.cofferdam.node.api.VisibleStates;
import dev.cofferdam.node.pool.MachinePool;
import dev.cofferdam.node.pressure.HostPressure;
import dev.cofferdam.node.registry.NodeView;
import dev.cofferdam.node.sandbox.Drain;
import dev.cofferdam.node.sandbox.Sandboxes;
import dev.cofferdam.node.slot.SlotPool;
import dev.cofferdam.node.template.OrderedTemplates;
import dev.cofferdam.node.template.Templates;
import dev.cofferdam.v1.SandboxSize;
import java.util.List;
import java.util.stream.Stream;

/** The node as it is when the scheduler is told. */
record LiveView(
    Sandboxes sandboxes,
    SlotPool slots,
    MachinePool pool,
    Templates prepared,
    OrderedTemplates ordered,
    HostPressure pressure,
    Drain drain)
    implements NodeView {
  @Override
  public List<RunningSandbox> running() {
    return sandboxes.present().stream()
        .map(present ->
            RunningSandbox.newBuilder()
                .setSandbox(present.sandbox())
                .setEpoch(present.epoch())
                .setState(VisibleStates.of(present.state()))
                .setChange(sandboxes.states().change(present.sandbox()))
                .build())
        .toList();
  }

  @Override
  public List<String> templates() {
    return Stream.concat(prepared.ready().stream(), ordered.ready().stream()).toList();
  }

  @Override
  public NodeHeartbeat heartbeat() {
    NodeHeartbeat.Builder heartbeat =
        NodeHeartbeat.newBuilder()
            // The pool gives up what it holds as soon as a slot is asked for.
            .setFreeSlots(slots.available() + pool.size())
            .setFreeMemoryMib(sandboxes.freeMemoryMib())
            .addAllTemplates(templates())
            .setPressure(pressure.now().orElse(""));
    pool.restored()
        .forEach((offer, count) ->
            heartbeat.addPooledMachines(
                PooledMachines.newBuilder()
                    .setTemplate(offer.name())
                    .setSize(
                        SandboxSize.newBuilder()
                            .setVcpus(offer.template().size().vcpus())
                            .setMemoryMib(offer.template().size().memoryMib())
                            .setDiskMib(offer.template().size().diskMib()))
                    .setCount(count)));
    return heartbeat.build();
  }

  @Override
  public void remove(String sandbox) {
    sandboxes.remove(sandbox, 0);
  }

  @Override
  public void draining(boolean now) {
    drain.set(now);
  }
}
