/** Something that takes Ethernet frames out of one region of memory: a TAP device, or an interface. */
export interface FramePort {
  /**
   * Sends frames [first, first + count) without an end to them in between, in order: frame i is the `lengths[i]` bytes from
   * `offsets[i]` on in the port's memory. Returns how many were taken; fewer than `count`, and errno tells why the next was
   * not. Where later ones were taken nevertheless, both columns are put in order: those taken come first.
   */
  send(offsets: Uint32Array, lengths: Uint32Array, first: number, count: number): number
  /** The errno(3) of the frame that the last send() ended at; meaningless after one that took all. */
  readonly errno: number
  close(): void
  /** As close(), and what was made when it was opened is taken away again. */
  abandon(): void
}
