package dev.cofferdam.edge.session;

import com.google.protobuf.ByteString;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.Json;
import dev.cofferdam.edge.protocol.Message;
import dev.cofferdam.edge.protocol.Params;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * The client's streams. The protocol lets a client send as much as it likes: with too much waiting,
 * the socket is not read on until some was taken. A stream of which nothing is taken all that time
 * is given up, so that it cannot hold up the others for ever, a kill for instance.
 */
public final class InputStreams {
  static final String START = "$sandbox.stream.start";
  static final String ENQUEUE = "$sandbox.stream.enqueue";
  static final String END = "$sandbox.stream.end";
  static final String ERROR = "$sandbox.stream.error";
  static final String CANCEL = "$sandbox.stream.cancel";

  private final SessionLimits limits;
  private final Outbox outbox;
  private final MemoryBudget.Account memory;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Map<Long, Input> open = new HashMap<>();
  private long waiting;
  private long taken;
  private boolean closed;

  InputStreams(SessionLimits limits, Outbox outbox, MemoryBudget.Account memory) {
    this.limits = limits;
    this.outbox = outbox;
    this.memory = memory;
  }

  /** Called by the thread that reads the socket, and by no other. */
  void start(long id) throws CallError {
    lock.lock();
    try {
      if (open.size() >= limits.streams() || open.putIfAbsent(id, new Input(this)) != null) {
        throw CallError.tooMany("stream " + id + " is open already, or too many are");
      }
    } finally {
      lock.unlock();
    }
  }

  /** As {@link #start}; returns once there is room. */
  void enqueue(long id, Params params) throws CallError, InterruptedException {
    byte[] data =
        params.optionalBytes("data").orElseThrow(() -> CallError.parameter("data", "base64"));
    lock.lock();
    try {
      Input input = open.get(id);
      // One that was given up; its client may not have heard of it.
      if (input == null || input.over || data.length == 0) {
        return;
      }
      input.chunks.add(ByteString.copyFrom(data));
      input.size += data.length;
      waiting += data.length;
      memory.add(data.length);
      changed.signalAll();
      awaitRoom();
    } finally {
      lock.unlock();
    }
  }

  private void awaitRoom() throws InterruptedException {
    long before = taken;
    long left = limits.stall().toNanos();
    while (waiting > limits.inputBytes() && !closed) {
      left = changed.awaitNanos(left);
      if (taken != before) {
        before = taken;
        left = limits.stall().toNanos();
      } else if (left <= 0) {
        giveUpLongest();
        left = limits.stall().toNanos();
      }
    }
  }

  private void giveUpLongest() {
    long longest = -1;
    for (Map.Entry<Long, Input> entry : open.entrySet()) {
      Input best = open.get(longest);
      if (best == null || entry.getValue().size > best.size) {
        longest = entry.getKey();
      }
    }
    Input input = open.get(longest);
    if (input == null) {
      return;
    }
    input.fail("nothing took what was sent for " + limits.stall().toSeconds() + " s");
    outbox.sendAtOnce(
        Message.notification(CANCEL, Json.object().put("streamId", longest).putNull("reason")));
  }

  void end(long id) {
    lock.lock();
    try {
      Input input = open.get(id);
      if (input != null) {
        input.ended = true;
        changed.signalAll();
      }
    } finally {
      lock.unlock();
    }
  }

  void error(long id, String message) {
    lock.lock();
    try {
      Input input = open.get(id);
      if (input != null) {
        input.fail(message);
      }
    } finally {
      lock.unlock();
    }
  }

  /** The stream, for the call that names it. */
  public Input take(long id) throws CallError {
    lock.lock();
    try {
      Input input = open.get(id);
      if (input == null || input.claimed) {
        throw CallError.parameter("streamId", "a stream that was started and not used yet");
      }
      input.claimed = true;
      return input;
    } finally {
      lock.unlock();
    }
  }

  long waiting() {
    lock.lock();
    try {
      return waiting;
    } finally {
      lock.unlock();
    }
  }

  void close() {
    lock.lock();
    try {
      closed = true;
      open.values().forEach(input -> input.fail("the session is over"));
      open.clear();
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** One of them, as who takes it sees it. */
  public static final class Input implements AutoCloseable {
    private final InputStreams all;
    private final ArrayDeque<ByteString> chunks = new ArrayDeque<>();
    private long size;
    private boolean claimed;
    private boolean ended;
    private boolean over;
    private String failure = "";

    private Input(InputStreams all) {
      this.all = all;
    }

    /**
     * Waits for more. Empty at the end.
     *
     * @throws InputFailedException when the client broke off, or was given up
     */
    public Optional<ByteString> next() throws InterruptedException, InputFailedException {
      all.lock.lock();
      try {
        while (chunks.isEmpty() && !ended && !over) {
          all.changed.await();
        }
        if (over) {
          throw new InputFailedException(failure);
        }
        ByteString chunk = chunks.poll();
        if (chunk != null) {
          size -= chunk.size();
          all.waiting -= chunk.size();
          all.memory.subtract(chunk.size());
          all.taken += chunk.size();
          all.changed.signalAll();
        }
        return Optional.ofNullable(chunk);
      } finally {
        all.lock.unlock();
      }
    }

    private void fail(String why) {
      if (!over) {
        over = true;
        failure = why;
        all.waiting -= size;
        all.memory.subtract(size);
        all.taken += size;
        size = 0;
        chunks.clear();
        all.changed.signalAll();
      }
    }

    /** What else comes is thrown away. */
    @Override
    public void close() {
      all.lock.lock();
      try {
        fail("nobody takes it any more");
        all.open.values().remove(this);
      } finally {
        all.lock.unlock();
      }
    }
  }

  /** A stream of the client's that has no good end. */
  public static final class InputFailedException extends Exception {
    private static final long serialVersionUID = 1L;

    InputFailedException(String message) {
      super(message);
    }
  }
}
