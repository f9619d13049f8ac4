#!/usr/bin/env node
import { main } from '../cli/sender-program.ts'

process.exitCode = await main(process.argv.slice(2))
