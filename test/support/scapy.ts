import { execFileSync } from 'node:child_process'
import { scapyPython } from './requirements.ts'

/** Runs a program that scapy's names are imported into, and gives what it printed: one JSON value a line. */
export function scapyLines<Line>(program: string): Line[] {
  const text = `import json, random\nfrom scapy.all import *\nfrom scapy.layers.sctp import *\n${program}`
  const printed = execFileSync(scapyPython()!, ['-c', text], { encoding: 'utf8', maxBuffer: 1 << 28 })
  return printed
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
}
