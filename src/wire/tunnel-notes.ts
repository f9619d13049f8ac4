/** There is no VLAN tag to put back. */
export const NO_TAG = -1
/** No sequence number, no time stamp. */
export const NOT_GIVEN = -1

/** Units of ERSPAN III's time stamps ("Gra"), draft-foschiano-erspan-03 section 4.3. */
export const GRANULARITY_100_US = 0
export const GRANULARITY_100_NS = 1
export const GRANULARITY_IEEE_1588 = 2
export const GRANULARITY_USER = 3

/** What the upper word of a time stamp is, where a platform's sub-header carries one. */
export const UPPER_ABSENT = 0
/** Bits 32 to 63 of the same count. */
export const UPPER_WORD = 1
/** Whole seconds; the lower word then counts nanoseconds. */
export const UPPER_SECONDS = 2

/**
 * What a tunnel's header says of the frame beside where it is. Valid for the header that was decoded last with verdict OK;
 * a decoder that fails leaves the notes as they were.
 */
export class TunnelNotes {
  /** Tag control information of the 802.1Q tag that the mirror took out of the frame, 0 to 0xffff, or NO_TAG. */
  tag: number = NO_TAG
  /** The mirror says that it cut the frame. */
  isCut = false
  /** 0 to 2^32 - 1, or NOT_GIVEN. */
  sequence: number = NOT_GIVEN
  /** A GRANULARITY_ value, or NOT_GIVEN: there is no time stamp. */
  granularity: number = NOT_GIVEN
  /** The lower 32 bits of the time stamp, unsigned. */
  time = 0
  /** An UPPER_ value, and the word itself. */
  upper: number = UPPER_ABSENT
  upperTime = 0

  clear(): void {
    this.tag = NO_TAG
    this.isCut = false
    this.sequence = NOT_GIVEN
    this.granularity = NOT_GIVEN
    this.upper = UPPER_ABSENT
  }
}
