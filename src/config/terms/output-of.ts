/** What a program prints. Throws when there is none of that name, or it fails. */
export function outputOf(program: string, ...args: readonly string[]): string {
  // Not imported above: that takes every start 4 ms, in each thread, and few ever come here.
  const { execFileSync } = process.getBuiltinModule('node:child_process')
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
}
