#!/usr/bin/env node
import { main } from '../cli/sender-program.ts'

// Whoever has seen enough (`plan | head`) makes no defect of it.
process.stdout.on('error', () => {})
process.exitCode = await main(process.argv.slice(2))
