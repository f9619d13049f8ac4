/** Something that must not be, found by the fuzzer. */
export class Finding extends Error {
  override readonly name = 'Finding'
}
