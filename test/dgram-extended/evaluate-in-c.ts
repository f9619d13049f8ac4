import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What a C compiler makes of each expression, with the system's own `headers`. */
export function evaluateInC(headers: string, expressions: readonly string[]): number[] {
  const folder = mkdtempSync(join(tmpdir(), 'libc-'))
  try {
    const prints = expressions.map((expression) => `printf("%ld\\n", (long)(${expression}));`)
    writeFileSync(join(folder, 'a.c'), `${headers}int main(void) {\n${prints.join('\n')}\n}\n`)
    const compiled = spawnSync('gcc', ['-o', join(folder, 'a'), join(folder, 'a.c')], { encoding: 'utf8' })
    if (compiled.status !== 0) throw new Error(compiled.stderr)
    return spawnSync(join(folder, 'a'), { encoding: 'utf8' }).stdout.trim().split('\n').map(Number)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
