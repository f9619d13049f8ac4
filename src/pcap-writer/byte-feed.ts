/** Where bytes come from, one after the other. One read at a time. */
export interface ByteFeed {
  /**
   * Writes the next bytes at the start of `into` and tells how many; 0 is the end, also where the system cannot read on.
   * A promise where bytes must be waited for.
   */
  read(into: Uint8Array): number | Promise<number>
  /** After the end: why there are no more bytes although there should be, as in a gzip file that is cut or on a disk that fails. */
  readonly problem?: string | undefined
  /** Of a file: bytes of it that were read so far, compressed as they are there. */
  readonly bytesRead?: number | undefined
  /** Of what can be read again: all of it once more, by the same descriptor, which closing this one frees. */
  again?(): ByteFeed
  /** Frees the descriptor; a read in progress ends. May be called again. */
  close(): void
}
