#!/usr/bin/env node
// Until something listens to SIGUSR1, Node answers it by opening its inspector: before the imports, so that it never does.
process.on('SIGUSR1', () => {})
const { main } = await import('../cli/program.ts')
process.exitCode = await main(process.argv.slice(2))

export {}
