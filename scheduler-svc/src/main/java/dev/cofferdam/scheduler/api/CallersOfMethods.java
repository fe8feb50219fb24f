package dev.cofferdam.scheduler.api;

import dev.cofferdam.internal.v1.NodeRegistryServiceGrpc;
import dev.cofferdam.kit.call.CallRules;
import dev.cofferdam.scheduler.tenant.Scope;
import dev.cofferdam.v1.FileServiceGrpc;
import dev.cofferdam.v1.NodeServiceGrpc;
import dev.cofferdam.v1.PortKeyServiceGrpc;
import dev.cofferdam.v1.PortServiceGrpc;
import dev.cofferdam.v1.ProcessServiceGrpc;
import dev.cofferdam.v1.SandboxServiceGrpc;
import dev.cofferdam.v1.SnapshotServiceGrpc;
import dev.cofferdam.v1.SshKeyServiceGrpc;
import dev.cofferdam.v1.TemplateServiceGrpc;
import dev.cofferdam.v1.TokenServiceGrpc;
import dev.cofferdam.v1.VolumeServiceGrpc;
import io.grpc.MethodDescriptor;

/** Who may call what. */
public final class CallersOfMethods {
  private static final String OPERATOR = "operator";
  private static final String NODE = "node-agent";

  private CallersOfMethods() {}

  public static CallRules rules() {
    CallRules.Builder rules = CallRules.builder();
    String read = Scope.SANDBOXES_READ.wireName();
    String write = Scope.SANDBOXES_WRITE.wireName();
    rules
        // With secrets also secrets:use, which depends on the request.
        .tenant(SandboxServiceGrpc.getCreateSandboxMethod(), write)
        .tenant(SandboxServiceGrpc.getGetSandboxMethod(), read)
        .tenant(SandboxServiceGrpc.getListSandboxesMethod(), read)
        .tenant(SandboxServiceGrpc.getExtendSandboxMethod(), write)
        .tenant(SandboxServiceGrpc.getUpdateSandboxPolicyMethod(), write)
        .tenant(SandboxServiceGrpc.getPauseSandboxMethod(), write)
        .tenant(SandboxServiceGrpc.getResumeSandboxMethod(), write)
        .tenant(SandboxServiceGrpc.getSuspendSandboxMethod(), write)
        .tenant(SandboxServiceGrpc.getRollBackSandboxMethod(), write)
        .tenant(SandboxServiceGrpc.getForkSandboxMethod(), write)
        .tenant(SandboxServiceGrpc.getDeleteSandboxMethod(), write)
        .tenant(SandboxServiceGrpc.getWatchSandboxEventsMethod(), read)
        .tenant(SnapshotServiceGrpc.getCreateSnapshotMethod(), write)
        .tenant(SnapshotServiceGrpc.getGetSnapshotMethod(), read)
        .tenant(SnapshotServiceGrpc.getListSnapshotsMethod(), read)
        .tenant(SnapshotServiceGrpc.getDeleteSnapshotMethod(), write)
        .tenant(TemplateServiceGrpc.getCreateTemplateMethod(), write)
        .tenant(TemplateServiceGrpc.getGetTemplateMethod(), read)
        .tenant(TemplateServiceGrpc.getListTemplatesMethod(), read)
        .tenant(TemplateServiceGrpc.getDeleteTemplateMethod(), write)
        .tenant(VolumeServiceGrpc.getCreateVolumeMethod(), write)
        .tenant(VolumeServiceGrpc.getGetVolumeMethod(), read)
        .tenant(VolumeServiceGrpc.getListVolumesMethod(), read)
        .tenant(VolumeServiceGrpc.getDeleteVolumeMethod(), write)
        .peers(TokenServiceGrpc.getRegisterTokenMethod(), OPERATOR)
        .peers(TokenServiceGrpc.getListTokensMethod(), OPERATOR)
        .peers(TokenServiceGrpc.getRemoveTokenMethod(), OPERATOR)
        .peers(NodeServiceGrpc.getListNodesMethod(), OPERATOR)
        .peers(NodeServiceGrpc.getDrainNodeMethod(), OPERATOR)
        .peers(NodeServiceGrpc.getUndrainNodeMethod(), OPERATOR)
        .peers(NodeRegistryServiceGrpc.getConnectMethod(), NODE);
    String exec = Scope.EXEC.wireName();
    rules
        .sshSessionOr(ProcessServiceGrpc.getStartProcessMethod(), exec)
        .sshSessionOr(ProcessServiceGrpc.getSignalProcessMethod(), exec)
        .tenant(ProcessServiceGrpc.getAttachProcessMethod(), exec)
        .tenant(ProcessServiceGrpc.getListProcessesMethod(), exec)
        .tenant(SshKeyServiceGrpc.getCreateSshKeyMethod(), exec)
        .tenant(SshKeyServiceGrpc.getListSshKeysMethod(), exec)
        .tenant(SshKeyServiceGrpc.getDeleteSshKeyMethod(), exec)
        .open(SshKeyServiceGrpc.getOpenSshSessionMethod())
        .sshSession(SshKeyServiceGrpc.getCloseSshSessionMethod());
    for (MethodDescriptor<?, ?> method : FileServiceGrpc.getServiceDescriptor().getMethods()) {
      rules.tenant(method, Scope.FILES.wireName());
    }
    String ports = Scope.PORTS.wireName();
    rules
        .portKeyOr(PortServiceGrpc.getForwardMethod(), ports)
        .tenant(PortKeyServiceGrpc.getCreatePortKeyMethod(), ports)
        .tenant(PortKeyServiceGrpc.getListPortKeysMethod(), ports)
        .tenant(PortKeyServiceGrpc.getDeletePortKeyMethod(), ports)
        .portKey(PortKeyServiceGrpc.getCheckPortKeyMethod());
    return rules.build();
  }
}
