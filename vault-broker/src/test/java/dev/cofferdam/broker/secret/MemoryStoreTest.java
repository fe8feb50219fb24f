package dev.cofferdam.broker.secret;

import org.junit.jupiter.api.AfterEach;

class MemoryStoreTest extends SecretStoreContract {
  private final MemoryStore store = new MemoryStore();

  @Override
  protected SecretStore store() {
    return store;
  }

  @AfterEach
  void close() {
    store.close();
  }
}
