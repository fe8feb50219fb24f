package dev.cofferdam.broker.secret;

/**
 * Keeps values. What may be done with them is no concern of a store: bindings, versions in force
 * and grants stand in the broker's own database.
 *
 * <p>Each key is written once and by one writer. Implementations are safe for use by several
 * threads, give every call a deadline, and put nothing of a value into an exception.
 */
public interface SecretStore {
  /**
   * Stores a value, durable when it returns. The caller keeps and closes it. Storing the same key
   * again replaces it: a key whose first attempt ended without an answer may be tried again.
   *
   * @throws StoreUnavailableException when it is not known to be stored
   */
  void put(SecretKey key, SecretValue value);

  /**
   * The value, which the caller closes.
   *
   * @throws StoreUnavailableException when the store cannot tell, or has no such key: the database
   *     said that it is there, so its absence is the store's failure
   */
  SecretValue get(SecretKey key);

  /**
   * Forgets one value. One that is not there is forgotten already.
   *
   * @throws StoreUnavailableException when it may still be there
   */
  void delete(SecretKey key);
}
