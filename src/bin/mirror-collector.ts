#!/usr/bin/env node
// Until something listens to SIGUSR1, Node answers it by opening its inspector: before the imports, so that it never does.
process.on('SIGUSR1', () => {})
// Whoever reads text from us and has seen enough (`--help | head`) makes no defect of it. Sinks see to their own pipes.
process.stdout.on('error', () => {})
try {
  const { prepare, startEarly } = await import('../cli/early.ts')
  if (await prepare(process.argv.slice(2))) {
    startEarly(process.argv.slice(2))
    const { main } = await import('../cli/program.ts')
    process.exitCode = await main(process.argv.slice(2))
  }
} catch (error) {
  const { reportUnloadable } = await import('../cli/unloadable.ts')
  process.exitCode = reportUnloadable('mirror-collector', error)
}

export {}
