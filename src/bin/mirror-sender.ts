#!/usr/bin/env node
// Whoever has seen enough (`plan | head`) makes no defect of it.
process.stdout.on('error', () => {})
try {
  const { main } = await import('../cli/sender-program.ts')
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const { reportUnloadable } = await import('../cli/unloadable.ts')
  process.exitCode = reportUnloadable('mirror-sender', error)
}

export {}
