package dev.cofferdam.edge.file;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.IntNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.TextNode;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.edge.protocol.SdkError;
import dev.cofferdam.edge.session.GuestPath;
import dev.cofferdam.edge.session.Method;
import dev.cofferdam.edge.session.SessionContext;
import dev.cofferdam.v1.CopyFileRequest;
import dev.cofferdam.v1.FileInfo;
import dev.cofferdam.v1.FileType;
import dev.cofferdam.v1.MakeLinkRequest;
import dev.cofferdam.v1.MakeTemporaryRequest;
import dev.cofferdam.v1.ResolvePathRequest;
import dev.cofferdam.v1.SetFileAttributesRequest;
import dev.cofferdam.v1.StatFileRequest;
import io.grpc.StatusException;
import java.util.Map;
import java.util.Optional;

/** What is said of files, and their names: everything but their content. */
public final class AttributeMethods implements SessionContext.Part {
  /** The last one says of chown(2) that an owner stays. */
  private static final long IDS = (1L << 32) - 1;

  private static final int PERMISSIONS = 07777;

  private final SessionContext context;

  public AttributeMethods(SessionContext context) {
    this.context = context;
  }

  @Override
  public Map<String, Method> methods() {
    return Map.ofEntries(
        Map.entry("stat", params -> GuestFiles.json(stat(params, true))),
        Map.entry("lstat", params -> GuestFiles.json(stat(params, false))),
        Map.entry("readLink", this::readLink),
        Map.entry("realPath", this::realPath),
        Map.entry("chmod", this::chmod),
        Map.entry("chown", this::chown),
        Map.entry("utime", this::utime),
        Map.entry("truncate", this::truncate),
        Map.entry("umask", this::umask),
        Map.entry("copyFile", this::copyFile),
        Map.entry("link", this::link),
        Map.entry("symlink", this::symlink),
        Map.entry("makeTempDir", params -> temporary(params, FileType.FILE_TYPE_DIRECTORY)),
        Map.entry("makeTempFile", params -> temporary(params, FileType.FILE_TYPE_REGULAR)));
  }

  private FileInfo stat(Params params, boolean follow) throws CallError, SdkError, StatusException {
    return context
        .tenant()
        .files()
        .statFile(
            StatFileRequest.newBuilder()
                .setSandbox(context.sandbox())
                .setPath(GuestFiles.path(params, "path"))
                .setFollow(follow)
                .build());
  }

  private JsonNode readLink(Params params) throws CallError, SdkError, StatusException {
    FileInfo info = stat(params, false);
    if (info.getType() != FileType.FILE_TYPE_SYMLINK) {
      throw new SdkError("InvalidData", "EINVAL", info.getPath() + " is no symbolic link");
    }
    return TextNode.valueOf(info.getLinkTarget());
  }

  private JsonNode realPath(Params params) throws CallError, SdkError, StatusException {
    return TextNode.valueOf(
        context
            .tenant()
            .files()
            .resolvePath(
                ResolvePathRequest.newBuilder()
                    .setSandbox(context.sandbox())
                    .setPath(GuestFiles.path(params, "path"))
                    .build())
            .getPath());
  }

  private JsonNode chmod(Params params) throws CallError, SdkError, StatusException {
    return set(attributes(params, "path").setMode((int) (params.number("mode") & PERMISSIONS)));
  }

  private JsonNode chown(Params params) throws CallError, SdkError, StatusException {
    SetFileAttributesRequest.Builder request = attributes(params, "path");
    id(params, "uid").ifPresent(request::setUid);
    id(params, "gid").ifPresent(request::setGid);
    return set(request);
  }

  private static Optional<Integer> id(Params params, String name) throws CallError {
    Optional<Long> id = params.optionalNumber(name);
    if (id.isPresent() && (id.get() < 0 || id.get() >= IDS)) {
      throw CallError.parameter(name, "number of 0 to 4294967294");
    }
    return id.map(Long::intValue);
  }

  private JsonNode utime(Params params) throws CallError, SdkError, StatusException {
    return set(
        attributes(params, "path")
            .setAccessTime(GuestFiles.timestamp(params.time("atime")))
            .setModifyTime(GuestFiles.timestamp(params.time("mtime"))));
  }

  private JsonNode truncate(Params params) throws CallError, SdkError, StatusException {
    return set(attributes(params, "name").setSize(params.optionalCount("length").orElse(0L)));
  }

  private SetFileAttributesRequest.Builder attributes(Params params, String name)
      throws CallError, SdkError {
    return SetFileAttributesRequest.newBuilder()
        .setSandbox(context.sandbox())
        .setPath(GuestFiles.path(params, name));
  }

  private JsonNode set(SetFileAttributesRequest.Builder request) throws StatusException {
    var _ = context.tenant().files().setFileAttributes(request.build());
    return NullNode.getInstance();
  }

  private JsonNode umask(Params params) throws CallError {
    Optional<Long> mask = params.optionalCount("mask");
    return IntNode.valueOf(
        mask.isPresent() ? context.umask().set(mask.get()) : context.umask().get());
  }

  private JsonNode copyFile(Params params) throws CallError, SdkError, StatusException {
    var _ =
        context
            .tenant()
            .largeFiles()
            .copyFile(
                CopyFileRequest.newBuilder()
                    .setSandbox(context.sandbox())
                    .setSource(GuestFiles.path(params, "fromPath"))
                    .setDestination(GuestFiles.path(params, "toPath"))
                    .build());
    return NullNode.getInstance();
  }

  private JsonNode link(Params params) throws CallError, SdkError, StatusException {
    return link(params, GuestFiles.path(params, "target"), false);
  }

  /** Its target is a text that the guest's kernel reads when it follows the link. */
  private JsonNode symlink(Params params) throws CallError, SdkError, StatusException {
    return link(params, params.text("target"), true);
  }

  private JsonNode link(Params params, String target, boolean symbolic)
      throws CallError, SdkError, StatusException {
    var _ =
        context
            .tenant()
            .files()
            .makeLink(
                MakeLinkRequest.newBuilder()
                    .setSandbox(context.sandbox())
                    .setPath(GuestFiles.path(params, "path"))
                    .setTarget(target)
                    .setSymbolic(symbolic)
                    .build());
    return NullNode.getInstance();
  }

  private JsonNode temporary(Params params, FileType type) throws CallError, StatusException {
    Params options = params.object("options");
    MakeTemporaryRequest.Builder request =
        MakeTemporaryRequest.newBuilder()
            .setSandbox(context.sandbox())
            .setPrefix(options.optionalText("prefix").orElse(""))
            .setSuffix(options.optionalText("suffix").orElse(""))
            .setType(type);
    options.optionalText("dir").map(GuestPath::absolute).ifPresent(request::setDirectory);
    return TextNode.valueOf(context.tenant().files().makeTemporary(request.build()).getPath());
  }
}
