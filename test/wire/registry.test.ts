import { expect, test } from 'vitest'
import { ENCAPSULATIONS, encapsulationNamed, encapsulationOfPort } from '../../src/wire/registry.ts'
import * as verdicts from '../../src/wire/verdict.ts'

test('every encapsulation is found by its name and by each of its ports', () => {
  expect(ENCAPSULATIONS.length).toBeGreaterThan(0)
  ENCAPSULATIONS.forEach((encapsulation, index) => {
    expect(encapsulationNamed(encapsulation.name)).toBe(index)
    for (const port of encapsulation.udpPorts) expect(encapsulationOfPort(port)).toBe(index)
  })
})

test('names and ports belong to one encapsulation each', () => {
  const names = ENCAPSULATIONS.map((encapsulation) => encapsulation.name)
  const ports = ENCAPSULATIONS.flatMap((encapsulation) => encapsulation.udpPorts)
  expect(new Set(names).size).toBe(names.length)
  expect(new Set(ports).size).toBe(ports.length)
})

test('names can stand in front of :// and in a file name', () => {
  for (const { name } of ENCAPSULATIONS) expect(name).toMatch(/^[a-z][a-z0-9-]*$/)
})

test('VXLAN has the port of RFC 7348 and the one that Linux had before', () => {
  expect(encapsulationOfPort(4789)).toBe(encapsulationNamed('vxlan'))
  expect(encapsulationOfPort(8472)).toBe(encapsulationNamed('vxlan'))
})

test('what no encapsulation has is not found', () => {
  expect(encapsulationNamed('VXLAN')).toBe(-1)
  expect(encapsulationNamed('')).toBe(-1)
  expect(encapsulationOfPort(0)).toBe(-1)
  expect(encapsulationOfPort(53)).toBe(-1)
})

test('every verdict has the word at its position', () => {
  const { VERDICTS, isUnwanted: _, ...constants } = verdicts
  const words = Object.entries(constants).map(([name, position]) => [position, name.toLowerCase().replaceAll('_', '-')])
  expect(words.sort(([a], [b]) => Number(a) - Number(b))).toEqual(VERDICTS.map((word, position) => [position, word]))
})
